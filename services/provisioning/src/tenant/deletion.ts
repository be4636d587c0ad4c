import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import { type Deletion, living, type Tenant, type Why } from './tenant.js';
import { notAllowed } from './transitions.js';

type TenantEvent = EventOf<typeof tenantEvents>;

export const GRACE_DAYS = 30;
const DAY_MS = 24 * 3_600_000;

export interface DeletionOrder extends Why {
  feedback?: { category: NonNullable<Deletion['feedback']>['category']; text?: string };
  winBack?: boolean;
  operationId: string;
  graceDays?: number;
  /** The tenant's slug, needed where there is no grace. */
  confirm?: string;
}

/** From now on the tenant can't be used; when its grace is over it is erased. */
export const scheduleDeletion =
  ({ operationId, cause, reason, graceDays = GRACE_DAYS, confirm, feedback, winBack }: DeletionOrder, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status, legalHold, slug } = living(state);
    if (status === 'deleting') return [];
    if (legalHold !== null) throw held('deleted');
    if (confirm !== undefined && confirm !== slug) throw invalidField('confirm', 'matches_slug', 'must be the slug of the tenant');
    if (graceDays === 0 && confirm === undefined)
      throw invalidField('confirm', 'required', 'without a grace nothing can be taken back: confirm with the slug of the tenant');
    const graceEndsAt = new Date(Date.parse(now) + graceDays * DAY_MS).toISOString();
    const said = { feedback, winBack };
    return [
      { type: 'TenantDeletionScheduled', data: { operationId, cause, reason, graceEndsAt, ...said, before: { status }, scheduledAt: now } },
    ];
  };

/** Back to what it was; of a tenant that was being provisioned, that goes on. */
export const undelete =
  ({ cause, reason }: Why, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status, deletion, operationId } = living(state);
    if (status !== 'deleting' || deletion === null) return [];
    if (deletion.erasing) throw notAllowed(status, 'undeleted any more; its erasure has begun');
    return [
      {
        type: 'TenantDeletionCancelled',
        data: {
          operationId: deletion.operationId,
          status: deletion.from,
          provisioningId: deletion.from === 'pending' ? operationId : undefined,
          cause,
          reason,
          before: { status: 'deleting' },
          cancelledAt: now,
        },
      },
    ];
  };

/** The grace of that deletion is over. A tenant under hold stays: the release asks again. */
export const startErasure =
  (operationId: string, now: string) =>
  (state: Tenant): TenantEvent[] => {
    if (state.status !== 'deleting' || state.deletion?.operationId !== operationId) return [];
    if (state.deletion.erasing || state.legalHold !== null || Date.parse(state.deletion.graceEndsAt) > Date.parse(now)) return [];
    return [{ type: 'TenantErasureStarted', data: { operationId, startedAt: now } }];
  };

/** A hold that comes during the grace keeps the tenant; one that comes during the erasure comes too late. */
export const holdLegally =
  (isHeld: boolean, reason: string | undefined, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status, legalHold, deletion } = living(state);
    if (isHeld === (legalHold !== null)) return [];
    if (deletion?.erasing) throw notAllowed(status, 'held any more; its erasure has begun');
    if (isHeld) return [{ type: 'LegalHoldPlaced', data: { reason, placedAt: now } }];
    return [{ type: 'LegalHoldReleased', data: { reason, releasedAt: now } }];
  };

const held = (what: string) =>
  new DomainError('tenant.legal_hold', { detail: `The tenant is under a legal hold and cannot be ${what}; release the hold first.` });
