import type { EventStore, LogSlice } from '@tenantry/event-store/port';
import type { RelayStorage } from './relay-storage.js';

export interface ReadLimits {
  /** Events read of a log in one round trip. */
  eventsPerLog: number;
  /** Of a log that isn't known to have a backlog so many are read, however long they are. */
  eventsUnmeasured: number;
  /** Of all logs together; one event of each is read all the same. */
  maxReadBytes: number;
}

/** Reads what is to be published: few events of a log that has just grown, of one with a backlog as many as memory is meant for. */
export class BacklogReader {
  /** Logs of which more than one read is waiting. */
  private readonly backlogs = new Set<string>();

  constructor(
    private readonly store: EventStore,
    private readonly storage: RelayStorage,
    private readonly limits: ReadLimits,
  ) {}

  async read(requests: { tenantId: string; from: number }[]): Promise<Map<string, LogSlice>> {
    const { eventsPerLog, eventsUnmeasured, maxReadBytes } = this.limits;
    const [many, few] = [
      requests.filter(({ tenantId }) => this.backlogs.has(tenantId)),
      requests.filter(({ tenantId }) => !this.backlogs.has(tenantId)),
    ];
    const byLimit = new Map([[Math.min(eventsUnmeasured, eventsPerLog), few]]);
    if (many.length > 0) {
      const fitting = await this.storage.fitting(many, eventsPerLog, Math.floor(maxReadBytes / many.length));
      many.forEach((request, index) => {
        // Of one that is too long alone there is one all the same. Powers of two, so that few statements read them all.
        const limit = 2 ** Math.floor(Math.log2(Math.max(1, fitting[index] ?? 1)));
        byLimit.set(limit, [...(byLimit.get(limit) ?? []), request]);
      });
    }
    const slices = new Map<string, LogSlice>();
    for (const [limit, of] of byLimit) {
      if (of.length === 0) continue;
      for (const [tenantId, slice] of await this.store.readLogs(of, { limit })) slices.set(tenantId, slice);
    }
    for (const [tenantId, { scannedTo, head }] of slices) {
      if (scannedTo < head) this.backlogs.add(tenantId);
      else this.backlogs.delete(tenantId);
    }
    return slices;
  }
}
