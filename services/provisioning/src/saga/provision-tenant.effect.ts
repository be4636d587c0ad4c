import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import type { TenantStatus } from '@tenantry/contracts/tenant/bodies';
import type { ProvisioningStep } from '@tenantry/contracts/tenant/events';
import type { Decision } from '@tenantry/event-store/aggregate';
import { type Assumed, TenantLog } from '@tenantry/event-store/tenant-log';
import { ComeBack, type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { runWith } from '@tenantry/observability/context';
import { faultPoint } from '@tenantry/observability/fault';
import { Logger } from '@tenantry/observability/logger';
import {
  compensateStep,
  completeStep,
  type Failure,
  failStep,
  givenUp,
  nextStep,
  nextUndo,
  type Operation,
  operation,
} from '../operation/operation.js';
import { fail, registered, tenant as tenantAggregate } from '../tenant/tenant.js';
import { failure, retryAfterMs } from './backoff.js';
import type { ProvisionPayload } from './provisioning.process.js';
import type { StepContext } from './step.js';
import { Steps } from './steps.js';
import { systemCommand } from './system-command.js';

/**
 * Drives one provisioning to its end. All it knows is in the log, so that any replica can go on after a crash:
 * run the next step, record it; after a step's last attempt, or when cancelled, undo the done ones in reverse.
 */
@Injectable()
export class ProvisionTenant extends EffectHandler<ProvisionPayload> {
  readonly effect = 'provision';
  override readonly concurrency = 16;
  /** A tenant is never left half made: steps count their own attempts, and what is undone is undone to the end. */
  override readonly maxAttempts = Number.MAX_SAFE_INTEGER;

  constructor(
    private readonly log: TenantLog,
    private readonly steps: Steps,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    super();
  }

  override run(effect: Effect<ProvisionPayload>): Promise<void> {
    const { tenantId, payload } = effect;
    return runWith({ tenantId, traceparent: payload.traceparent }, () => this.drive(effect));
  }

  private async drive({ tenantId, payload: { operationId, traceparent }, causationId, signal }: Effect<ProvisionPayload>): Promise<void> {
    const [life, progress] = await Promise.all([
      this.log.load(tenantAggregate, { tenant: tenantId }),
      this.log.load(operation, { tenant: tenantId, stream: `operation-${operationId}` }),
    ]);
    const tenant = registered(life.state);
    if (tenant.operationId !== operationId || tenant.status === 'failed') return; // undone, or retried since
    if (isLeaving(tenant)) return; // goes on if the deletion is cancelled
    const cause = { causationId, correlationId: operationId, traceparent };
    const command = (name: string) => systemCommand(derivedId('command', operationId, name), cause);
    const context: StepContext = { tenantId, operationId, tenant, life, command };
    let known: Known = progress;
    while (!signal.aborted) {
      const undoing = givenUp(known.state);
      const step = undoing ? nextUndo(known.state) : nextStep(known.state);
      if (undoing && step === null) return this.close(context, undoing);
      if (step === null) return;
      const next: Known | null = undoing ? await this.undo(context, known, step) : await this.advance(context, known, step);
      if (next === null) return;
      known = next;
    }
    throw new ComeBack(0);
  }

  /** Null where it is not to go on. */
  private async advance(context: StepContext, known: Known, name: ProvisioningStep): Promise<Known | null> {
    const { retryAt, attempt: attempts } = known.state.steps[name];
    const waitMs = retryAt === null ? 0 : Date.parse(retryAt) - this.clock.nowMs();
    if (waitMs > 0) throw new ComeBack(waitMs);
    const step = this.steps.of(name);
    const attempt = attempts + 1;
    const startedAt = this.clock.now();
    const begun = performance.now();
    const skipped = step.skip(context.tenant);
    const progress = () => ({
      operationId: context.operationId,
      step: name,
      attempt,
      startedAt,
      durationMs: Math.round((performance.now() - begun) * 10) / 10,
    });
    try {
      if (!skipped) await step.run(context);
      await faultPoint(`${name}.done`);
    } catch (error) {
      // What fails because the tenant was closed meanwhile is no failure of the step.
      const { state } = await this.log.load(tenantAggregate, { tenant: context.tenantId });
      if (isLeaving(registered(state))) return null;
      const afterMs = retryAfterMs(error, attempt, Math.random());
      const retryAt = afterMs === null ? null : new Date(this.clock.nowMs() + afterMs).toISOString();
      this.logger.warn({ err: error, tenantId: context.tenantId, step: name, attempt, retryAt }, 'a provisioning step failed');
      return this.record(context, known, `${name}.failed.${attempt}`, failStep({ ...progress(), error: failure(error), retryAt }));
    }
    const next = await this.record(context, known, `${name}.completed`, completeStep({ ...progress(), skipped }));
    await faultPoint(`${name}.recorded`);
    return next;
  }

  private async undo(context: StepContext, known: Known, name: ProvisioningStep): Promise<Known> {
    const startedAt = this.clock.now();
    const begun = performance.now();
    await this.steps.of(name).undo(context); // a failure here is tried again by the effect's own backoff
    const durationMs = Math.round((performance.now() - begun) * 10) / 10;
    return this.record(
      context,
      known,
      `${name}.compensated`,
      compensateStep({ operationId: context.operationId, step: name, attempt: 1, startedAt, durationMs }),
    );
  }

  private async close({ tenantId, operationId, command }: StepContext, why: { step: ProvisioningStep; reason: Failure }): Promise<void> {
    await this.log.transact(
      tenantAggregate,
      { tenant: tenantId, command: command('failed') },
      fail(operationId, why.step, why.reason, this.clock.now()),
    );
  }

  private record({ tenantId, operationId, command }: StepContext, known: Known, name: string, decide: Decide): Promise<Known> {
    const target = { tenant: tenantId, stream: `operation-${operationId}`, command: command(name) };
    return this.log.transact(operation, target, decide, known);
  }
}

const isLeaving = ({ status }: { status: TenantStatus }) => status === 'deleting' || status === 'deleted';

/** The operation as this process knows it: nobody else writes its stream, but for a cancellation, which a conflict shows. */
type Known = Assumed<Operation>;
type Decide = Decision<Operation, typeof operation.events>;
