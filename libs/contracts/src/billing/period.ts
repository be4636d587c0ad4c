import { Temporal } from 'temporal-polyfill';
import type { Instant } from '../clock.js';

/** What a tenant's billing periods follow from. */
export interface Cycle {
  startsAt: Instant;
  /** Null without a trial. */
  trialEndsAt: Instant | null;
  /** IANA name. */
  timezone: string;
}
/** `[start, end)`. */
export interface Period {
  start: Instant;
  end: Instant;
}

/**
 * The billing period that holds `at`; for an earlier instant than the start, the first one.
 *
 * A period is a month of the tenant's calendar. The first begins at the very instant of the start, every other at the first instant of a local
 * day: the anchor's day of the month, or the month's last where it has no such day (31 January, 28 February, 31 March: counted from the anchor,
 * so that a short month does not shift the later ones). The end of a trial ends the running period and is the anchor from then on.
 * Periods follow each other without gap or overlap.
 */
export function periodAt(cycle: Cycle, at: Instant): Period {
  const atMs = Date.parse(at);
  const trialEndMs = cycle.trialEndsAt === null ? null : Date.parse(cycle.trialEndsAt);
  if (trialEndMs !== null && atMs >= trialEndMs) return monthAt(trialEndMs, cycle.timezone, atMs);
  return monthAt(Date.parse(cycle.startsAt), cycle.timezone, atMs, trialEndMs ?? Number.POSITIVE_INFINITY);
}

/** The end of a trial of whole local days, at the time of day of its start; null for no days. */
export function trialEnd(startsAt: Instant, days: number, timezone: string): Instant | null {
  if (days === 0) return null;
  return text(local(Date.parse(startsAt), timezone).add({ days }).epochMilliseconds);
}

function monthAt(anchorMs: number, timezone: string, atMs: number, cutMs = Number.POSITIVE_INFINITY): Period {
  const day = local(anchorMs, timezone).toPlainDate();
  const boundary = (months: number) =>
    months === 0 ? anchorMs : day.add({ months }).toZonedDateTime({ timeZone: timezone }).epochMilliseconds;
  // Whole months between the days: off by one at most, where the anchor's day does not exist in the month.
  let months = Math.max(0, day.until(local(atMs, timezone).toPlainDate(), { largestUnit: 'months' }).months);
  while (months > 0 && boundary(months) > atMs) months -= 1;
  while (boundary(months + 1) <= atMs) months += 1;
  return { start: text(boundary(months)), end: text(Math.min(boundary(months + 1), cutMs)) };
}

const local = (ms: number, timezone: string) => Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timezone);
const text = (ms: number): Instant => new Date(ms).toISOString();

/** The day of an instant in a time zone, `YYYY-MM-DD`. */
export const localDay = (at: Instant, timezone: string): string => local(Date.parse(at), timezone).toPlainDate().toString();
