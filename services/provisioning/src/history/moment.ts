import { invalidField } from '@tenantry/contracts/errors';

/** A place in a tenant's log: a position, or everything up to an instant (µs since the epoch). */
export type Moment = { position: number } | { us: number; text: string };

/** Of a text that the schema `Moment` accepts. */
export function momentOf(text: string): Moment {
  if (/^\d+$/.test(text)) return { position: Number(text) };
  const written = text.replace(' ', '+');
  const [, fraction = ''] = /\.(\d+)/.exec(written) ?? [];
  // Date.parse knows milliseconds; the log knows microseconds.
  const us = Date.parse(written.replace(/\.\d+/, '')) * 1_000 + Number(fraction.slice(0, 6).padEnd(6, '0'));
  return { us, text: written };
}

/** µs since the epoch of an event's time. */
const usOf = (recordedAt: string): number => (momentOf(recordedAt) as { us: number }).us;

/** Is the event at or before the moment? */
export const isWithin = (moment: Moment, event: { position: number; recordedAt: string }): boolean =>
  'position' in moment ? event.position <= moment.position : usOf(event.recordedAt) <= moment.us;

/** Is the event before the moment? */
export const isBefore = (moment: Moment, event: { position: number; recordedAt: string }): boolean =>
  'position' in moment ? event.position < moment.position : usOf(event.recordedAt) < moment.us;

/** @throws DomainError `request.invalid` for what has not come yet */
export function refuseFuture(field: string, moment: Moment, head: number, nowMs: number): void {
  if ('position' in moment && moment.position > head)
    throw invalidField(field, 'not_yet', `must not be above ${head}, the last position of the log so far`);
  // A second's grace: the clock that stamps events may be ahead of this one.
  if ('us' in moment && moment.us > (nowMs + 1_000) * 1_000)
    throw invalidField(field, 'not_yet', `must not be in the future; it is ${new Date(nowMs).toISOString()} now`);
}
