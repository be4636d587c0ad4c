import { Injectable } from '@nestjs/common';
import type { StoredOf } from '@tenantry/contracts/catalogue';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { CommandContext } from '@tenantry/contracts/route';
import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { operationSteps } from '@tenantry/contracts/tenant/operation-events';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { deciderOf } from '../approval/approval.js';
import { Holding } from '../approval/holding.js';
import { changeOf } from '../config/change.js';
import { type OperationAddress, type OperationKind, OperationKinds, type ShownOperation } from '../operation/operation-kinds.js';
import { OperationTypes } from '../operation/operation-types.js';
import { type Stepped, stepped, steppedView } from '../operation/stepped.js';
import { undelete } from './deletion.js';
import { tenant } from './tenant.js';

/** The type of the operation that a deletion is: its grace first, then the steps of its erasure. */
export const DELETION = 'deletion';

type Scheduled = StoredOf<'TenantDeletionScheduled'>;
interface Life {
  scheduled: Scheduled;
  cancelledAt: string | null;
  erasureAt: string | null;
}

/** Deletions as they stand, folded from the log. */
@Injectable()
export class DeletionOperations implements OperationKind {
  constructor(
    private readonly log: TenantLog,
    private readonly types: OperationTypes,
    private readonly clock: Clock,
    private readonly holding: Holding,
    kinds: OperationKinds,
  ) {
    kinds.add(DELETION, this);
  }

  async view(at: OperationAddress): Promise<ShownOperation> {
    const [life, erasure] = await Promise.all([
      this.log.load(tenant, { tenant: at.tenantId }),
      this.log.load(stepped, { tenant: at.tenantId, stream: `operation-${at.id}` }),
    ]);
    const ofThis = life.events.filter(({ data }) => (data as { operationId?: string }).operationId === at.id);
    const scheduled = ofThis.find(({ type }) => type === 'TenantDeletionScheduled') as Scheduled | undefined;
    if (!scheduled) throw new DomainError('operation.not_found');
    const when = (wanted: string) => ofThis.find(({ type }) => type === wanted)?.recordedAt ?? null;
    const view = deletionView(
      at,
      { scheduled, cancelledAt: when('TenantDeletionCancelled'), erasureAt: when('TenantErasureStarted') },
      erasure.state,
    );
    return { view, position: { tenantId: at.tenantId, position: Math.max(life.position, erasure.position) } };
  }

  /** The same as to undelete the tenant, so it needs the same. @throws DomainError `approval.needed` */
  async cancel({ id, tenantId }: OperationAddress, reason: string | undefined, command: CommandContext): Promise<void> {
    if (await this.holding.demand(changeOf([], []), 'undelete'))
      throw new DomainError('approval.needed', {
        detail: 'A policy has others approve that a tenant is undeleted: ask for it at the tenant, by POST …/undelete.',
      });
    const decide = undelete({ cause: 'manual', reason }, this.clock.now());
    await this.log.transact(tenant, { tenant: tenantId, command }, (state) => {
      if (state.status !== 'deleting' || state.deletion?.operationId !== id || state.deletion.erasing)
        throw new DomainError('operation.not_cancellable', { detail: 'The deletion is cancelled already, or the erasure has begun.' });
      return decide(state);
    });
  }

  /**
   * Of an erasure that failed; the grace has nothing to be tried again. Also once the tenant's keys are gone, or what failed after them would
   * stay half erased for ever: then the log says who asked, by a reference, and neither why nor from where.
   */
  async retry(at: OperationAddress, reason: string | undefined, command: CommandContext): Promise<string> {
    try {
      return await this.types.retry(at, reason, command);
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'keys.destroyed') throw error;
      const { id, principal, traceparent, correlationId } = command;
      return this.types.retry(at, undefined, { id, actor: deciderOf(principal).actor, traceparent, correlationId });
    }
  }
}

/** Pure. */
export function deletionView(at: OperationAddress, { scheduled, cancelledAt, erasureAt }: Life, erasure: Stepped): OperationView {
  const { recordedAt } = scheduled;
  const erasing = steppedView(at, erasure, operationSteps.erasure, recordedAt, null);
  const graceEnd = cancelledAt ?? erasureAt;
  return {
    ...erasing,
    status: cancelledAt ? 'cancelled' : erasureAt && erasing.status === 'pending' ? 'running' : erasing.status,
    steps: [
      {
        name: 'grace',
        status: cancelledAt ? 'compensated' : erasureAt ? 'succeeded' : 'running',
        attempt: 1,
        startedAt: recordedAt,
        durationMs: graceEnd === null ? null : Date.parse(graceEnd) - Date.parse(recordedAt),
        error: null,
      },
      ...erasing.steps,
    ],
    createdAt: recordedAt,
    finishedAt: cancelledAt ?? erasing.finishedAt,
  };
}
