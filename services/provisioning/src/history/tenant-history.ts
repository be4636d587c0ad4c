import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { isWithin, type Moment, refuseFuture } from './moment.js';
import { after, nothing, type Snapshot, snapshotTypes } from './snapshot.js';

const PAGE = 500;

/** A tenant's log, read in pages: however long it is, one page and one snapshot are in memory. */
@Injectable()
export class TenantHistory {
  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
  ) {}

  /** The last position. @throws DomainError `tenant.not_found`; `request.invalid` where a moment has not come yet */
  async head(tenantId: string, moments: Readonly<Record<string, Moment | undefined>> = {}): Promise<number> {
    const [head] = await this.log.heads({ tenantIds: [tenantId] });
    if (!head || head.position < 0) throw new DomainError('tenant.not_found');
    for (const [field, moment] of Object.entries(moments)) if (moment) refuseFuture(field, moment, head.position, this.clock.nowMs());
    return head.position;
  }

  /** The events from one position to another, both inclusive; of these types, or all. */
  async *events(tenantId: string, from: number, to: number, types?: readonly string[]): AsyncGenerator<StoredEvent> {
    for (let next = from; next <= to; ) {
      const { events, scannedTo } = await this.log.readLog(tenantId, next, { types, limit: PAGE });
      for (const event of events) {
        if (event.position > to) return;
        yield event;
      }
      if (scannedTo < next) return;
      next = scannedTo + 1;
    }
  }

  /** Everything that was true at a moment; `nothing` before the first event. */
  async at(tenantId: string, moment: Moment, head: number, before: Snapshot = nothing): Promise<Snapshot> {
    const to = 'position' in moment ? moment.position : head;
    let snapshot = before;
    for await (const event of this.events(tenantId, before.position + 1, to, snapshotTypes)) {
      if (!isWithin(moment, event)) break;
      snapshot = after(snapshot, event);
    }
    return snapshot;
  }
}
