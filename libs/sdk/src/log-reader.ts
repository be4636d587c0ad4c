import type { TenantryApi } from './api.js';
import type { ChainState } from './chain.js';
import type { TenantEvent } from './event.js';

/** Questions to the log itself, over HTTP. It is right where the bus and a subscriber differ. */
export class LogReader {
  constructor(private readonly api: TenantryApi) {}

  /** The event at a position; null where the log has none there. */
  async at(tenantId: string, position: number, signal?: AbortSignal): Promise<TenantEvent | null> {
    const { items } = await this.api.events(tenantId, position - 1, 1, signal);
    return items[0]?.position === position ? items[0] : null;
  }

  /** Whether the log still has what the chain was handled up to. */
  async stillHas({ last }: ChainState, tenantId: string, signal?: AbortSignal): Promise<boolean> {
    return last.eventId === null || (await this.at(tenantId, last.position, signal))?.id === last.eventId;
  }

  /** The position from which on the log is another one than the chain knew; it is 0 where nothing that is remembered is left. */
  async divergence(chain: ChainState, tenantId: string, signal?: AbortSignal): Promise<number> {
    const known = chain.remembered();
    let from = 0;
    for (let index = 0; index < known.length; ) {
      const [start] = known[index] as [number, string];
      const { items, head } = await this.api.events(tenantId, start - 1, 200, signal);
      const ids = new Map(items.map(({ position, id }) => [position, id]));
      const end = items.at(-1)?.position ?? head;
      for (; index < known.length; index++) {
        const [position, id] = known[index] as [number, string];
        if (position > end && end < head) break; // on the next page
        if (ids.get(position) !== id) return from;
        from = position + 1;
      }
    }
    return from;
  }

  /** Position of the first event that was recorded at the instant or later; one after the last where there is none. */
  async firstSince(tenantId: string, time: string, signal?: AbortSignal): Promise<number> {
    const instant = Date.parse(time);
    const isSince = (event: TenantEvent) => Date.parse(event.recordedAt) >= instant;
    const { items, head } = await this.api.events(tenantId, -1, 1, signal);
    if (!items[0] || isSince(items[0])) return 0;
    let low = 1;
    let high = head + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const event = await this.at(tenantId, middle, signal);
      if (event && !isSince(event)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
