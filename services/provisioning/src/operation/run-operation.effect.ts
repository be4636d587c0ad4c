import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import type { Decision } from '@tenantry/event-store/aggregate';
import { type Assumed, TenantLog } from '@tenantry/event-store/tenant-log';
import { ComeBack, type Effect, EffectHandler, GiveUp } from '@tenantry/messaging/effects';
import { runWith } from '@tenantry/observability/context';
import { faultPoint } from '@tenantry/observability/fault';
import { Logger } from '@tenantry/observability/logger';
import { observed } from '@tenantry/observability/metrics';
import { ATTEMPTS_TO_UNDO, failure, isRefusal, retryAfterMs } from '../saga/backoff.js';
import { systemCommand } from '../saga/system-command.js';
import type { OperationContext, OperationStep, OperationType } from './operation-type.js';
import { OperationTypes } from './operation-types.js';
import {
  commit,
  compensateStep,
  completeStep,
  course,
  end,
  type Facts,
  failCompensation,
  failStep,
  isSameCourse,
  type Stepped,
  type SteppedStep,
  start,
  stepped,
} from './stepped.js';
import type { OperationPayload } from './stepped.process.js';

/** How soon a waiting operation looks whether somebody wants it undone. */
const LOOK_AGAIN_MS = 1_000;

let failedUndos = 0;
observed('tenantry_operation_undo_failures_total', 'Attempts to undo a step of an operation that failed', () => failedUndos, true);

/** Drives one stepped operation to its end. All it knows is in the log, so that any replica can go on after a crash. */
@Injectable()
export class RunOperation extends EffectHandler<OperationPayload> {
  readonly effect = 'operation';
  /** Steps count their own attempts, and so does their undoing. */
  override readonly maxAttempts = Number.MAX_SAFE_INTEGER;

  constructor(
    private readonly log: TenantLog,
    private readonly types: OperationTypes,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    super();
  }

  override run(effect: Effect<OperationPayload>): Promise<void> {
    const { tenantId, payload } = effect;
    return runWith({ tenantId, traceparent: payload.traceparent }, () => this.drive(effect));
  }

  private async drive({ tenantId, payload, causationId, signal }: Effect<OperationPayload>): Promise<void> {
    const { operationId, traceparent } = payload;
    const type = this.types.of(payload.type);
    const cause = { causationId, correlationId: operationId, traceparent };
    let known: Assumed<Stepped> = await this.log.load(stepped, { tenant: tenantId, stream: `operation-${operationId}` });
    const run: Run = {
      type,
      tenantId,
      operationId,
      signal,
      command: (round, name) => systemCommand(derivedId('command', operationId, round, name), cause),
    };
    if (known.state.type === null) {
      const steps = type.steps.map(({ name }) => name);
      const data = { operationId, type: type.type, steps, input: payload.input ?? {}, startedAt: this.clock.now() };
      known = await this.record(run, known, 'started', start(data));
    }
    while (!signal.aborted) {
      if (known.state.ended) return;
      const now = course(known.state);
      if (now.go === 'end') return this.close(run, known, now);
      known = now.go === 'back' ? await this.undo(run, known, now.step) : await this.advance(run, known, now.step);
    }
    throw new ComeBack(0);
  }

  private async advance(run: Run, known: Assumed<Stepped>, { name, retryAt, attempt: attempts }: SteppedStep): Promise<Assumed<Stepped>> {
    const { type, operationId } = run;
    const step = this.step(type, name);
    const context = this.contextOf(run, known.state);
    const dueInMs = retryAt === null ? 0 : Date.parse(retryAt) - this.clock.nowMs();
    const waitMs = Math.max(dueInMs, known.state.committed ? 0 : ((await step.waitMs?.(context)) ?? 0));
    if (waitMs > 0) throw new ComeBack(Math.min(waitMs, LOOK_AGAIN_MS));
    if (step.commits && !known.state.committed) {
      const committed = await this.record(run, known, 'committed', commit({ operationId, step: name, committedAt: this.clock.now() }));
      // Undone instead: somebody was quicker.
      if (!committed.state.committed) return committed;
      known = committed;
    }
    const attempt = attempts + 1;
    const startedAt = this.clock.now();
    const begun = performance.now();
    const progress = () => ({ operationId, step: name, attempt, startedAt, durationMs: since(begun) });
    let skipped: boolean;
    let result: Facts | null = null;
    try {
      skipped = (await step.skip?.(context)) ?? false;
      if (!skipped) result = await step.run(context);
      await faultPoint(`${type.type}.${name}.done`);
    } catch (error) {
      if (error instanceof ComeBack) throw error;
      const afterMs = error instanceof GiveUp || isRefusal(error) ? null : retryAfterMs(error, attempt, Math.random());
      const retryAt = afterMs === null ? null : new Date(this.clock.nowMs() + afterMs).toISOString();
      this.logger.warn({ err: error, tenantId: run.tenantId, operation: type.type, step: name, attempt, retryAt }, 'a step failed');
      return this.record(
        run,
        known,
        `${name}.failed.${attempt}`,
        failStep({ ...progress(), error: failure(error instanceof GiveUp ? error.cause : error), retryAt }),
      );
    }
    const next = await this.record(run, known, `${name}.completed`, completeStep({ ...progress(), skipped, result }));
    await faultPoint(`${type.type}.${name}.recorded`);
    return next;
  }

  private async undo(run: Run, known: Assumed<Stepped>, { name }: SteppedStep): Promise<Assumed<Stepped>> {
    const { type, operationId, tenantId } = run;
    const before = known.state.undoing?.step === name ? known.state.undoing : null;
    const waitMs = before?.retryAt ? Date.parse(before.retryAt) - this.clock.nowMs() : 0;
    if (waitMs > 0) throw new ComeBack(Math.min(waitMs, LOOK_AGAIN_MS));
    const startedAt = this.clock.now();
    const begun = performance.now();
    const attempt = (before?.attempt ?? 0) + 1;
    const progress = () => ({ operationId, step: name, attempt, startedAt, durationMs: since(begun) });
    try {
      await this.step(type, name).undo?.(this.contextOf(run, known.state));
      await faultPoint(`${type.type}.${name}.undone`);
    } catch (error) {
      if (error instanceof ComeBack) throw error;
      const afterMs = error instanceof GiveUp ? null : retryAfterMs(error, attempt, Math.random(), ATTEMPTS_TO_UNDO);
      const retryAt = afterMs === null ? null : new Date(this.clock.nowMs() + afterMs).toISOString();
      failedUndos += 1;
      const seen = { err: error, tenantId, operation: type.type, operationId, step: name, attempt, retryAt };
      if (retryAt === null) this.logger.error(seen, 'A step could not be undone: the operation is left half undone until it is retried');
      else this.logger.warn(seen, 'a step could not be undone yet');
      const cause = failure(error instanceof GiveUp ? error.cause : error);
      return this.record(run, known, `${name}.undo.failed.${attempt}`, failCompensation({ ...progress(), error: cause, retryAt }));
    }
    return this.record(run, known, `${name}.compensated`, compensateStep(progress()));
  }

  private async close(
    run: Run,
    known: Assumed<Stepped>,
    { status, error }: Extract<ReturnType<typeof course>, { go: 'end' }>,
  ): Promise<void> {
    const { operationId, type } = run;
    await type.ended?.(this.contextOf(run, known.state), status);
    await this.record(run, known, 'ended', end({ operationId, type: type.type, status, error, endedAt: this.clock.now() }));
  }

  private contextOf({ tenantId, operationId, signal, command }: Run, known: Stepped): OperationContext {
    const { input, steps, round } = known;
    return {
      tenantId,
      operationId,
      signal,
      input,
      results: Object.fromEntries(steps.map(({ name, result }) => [name, result])),
      command: (name) => command(round, `step.${name}`),
      isDue: async () => {
        const { state } = await this.log.load(stepped, { tenant: tenantId, stream: `operation-${operationId}` });
        return isSameCourse(known, state);
      },
    };
  }

  private step(type: OperationType, name: string): OperationStep {
    const step = type.steps.find((candidate) => candidate.name === name);
    if (!step) throw new Error(`${type.type} has no step ${name} any more`);
    return step;
  }

  /** Nobody else writes the stream but for a cancellation, a rollback or a retry, which a conflict shows. */
  private record(
    { tenantId, operationId, command }: Run,
    known: Assumed<Stepped>,
    name: string,
    decide: Decide,
  ): Promise<Assumed<Stepped>> {
    const target = { tenant: tenantId, stream: `operation-${operationId}`, command: command(known.state.round, name) };
    return this.log.transact(stepped, target, decide, known);
  }
}

interface Run extends Pick<OperationContext, 'tenantId' | 'operationId' | 'signal'> {
  type: OperationType;
  command: (round: number, name: string) => ReturnType<OperationContext['command']>;
}
type Decide = Decision<Stepped, typeof tenantEvents>;

const since = (begun: number) => Math.round((performance.now() - begun) * 10) / 10;
