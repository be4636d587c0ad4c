import { type Cycle, localDay, type Period, periodAt } from '@tenantry/contracts/billing/period';
import type { Instant } from '@tenantry/contracts/clock';
import type { Ledger } from './ledger.js';

const KEPT_MS = 60_000;
const MOST = 10_000;

/**
 * Which period and which day it is for a tenant. Kept in memory, so that consuming is one round trip: a tenant's cycle changes rarely, and
 * what the ledger has stored of a running period wins over what is given here.
 */
export class Calendars {
  private readonly known = new Map<string, { cycle: Cycle; period: Period; untilMs: number }>();
  constructor(private readonly ledger: Pick<Ledger, 'cycle'>) {}

  /** Null where the tenant has no quotas. */
  async at(tenantId: string, now: Instant): Promise<{ period: Period; day: string } | null> {
    const nowMs = Date.parse(now);
    let entry = this.known.get(tenantId);
    if (!entry || entry.untilMs <= nowMs) {
      const cycle = await this.ledger.cycle(tenantId);
      if (!cycle) return null;
      entry = { cycle, period: periodAt(cycle, now), untilMs: nowMs + KEPT_MS };
      this.forget(tenantId);
      this.known.set(tenantId, entry);
      // A Map keeps the order of insertion: the first is the oldest.
      if (this.known.size > MOST) this.known.delete(this.known.keys().next().value as string);
    }
    if (Date.parse(entry.period.end) <= nowMs) entry.period = periodAt(entry.cycle, now);
    return { period: entry.period, day: localDay(now, entry.cycle.timezone) };
  }

  forget(tenantId: string): void {
    this.known.delete(tenantId);
  }
}
