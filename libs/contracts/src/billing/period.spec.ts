import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import { describe, expect, it } from 'vitest';
import { type Cycle, type Period, periodAt, trialEnd } from './period.js';

const cycle = (startsAt: string, timezone = 'UTC', trialEndsAt: string | null = null): Cycle => ({ startsAt, timezone, trialEndsAt });
const sequence = (of: Cycle, count: number): Period[] => {
  const periods = [periodAt(of, of.startsAt)];
  while (periods.length < count) periods.push(periodAt(of, (periods.at(-1) as Period).end));
  return periods;
};
const ends = (of: Cycle, count: number) => sequence(of, count).map(({ end }) => end);

describe('the billing period', () => {
  it('begins at the start and ends at the local midnight a month later', () => {
    expect(periodAt(cycle('2026-01-15T10:30:00.000Z', 'Europe/Berlin'), '2026-01-20T00:00:00.000Z')).toEqual({
      start: '2026-01-15T10:30:00.000Z',
      end: '2026-02-14T23:00:00.000Z',
    });
  });

  it('comes back to the 31st after a shorter month', () => {
    expect(ends(cycle('2026-01-31T12:00:00.000Z'), 4)).toEqual([
      '2026-02-28T00:00:00.000Z',
      '2026-03-31T00:00:00.000Z',
      '2026-04-30T00:00:00.000Z',
      '2026-05-31T00:00:00.000Z',
    ]);
  });

  it('ends on 29 February of a leap year for an anchor on the 29th, 30th and 31st', () => {
    for (const day of [29, 30, 31]) {
      expect(periodAt(cycle(`2028-01-${day}T08:00:00.000Z`), '2028-02-10T00:00:00.000Z').end).toBe('2028-02-29T00:00:00.000Z');
    }
  });

  it('keeps 29 February as the anchor over common years', () => {
    const of = cycle('2024-02-29T00:00:00.000Z');
    expect(periodAt(of, '2025-02-28T00:00:00.000Z').start).toBe('2025-02-28T00:00:00.000Z');
    expect(periodAt(of, '2025-03-29T00:00:00.000Z').start).toBe('2025-03-29T00:00:00.000Z');
    expect(periodAt(of, '2028-02-29T00:00:00.000Z').start).toBe('2028-02-29T00:00:00.000Z');
  });

  it('follows the offset of the tenant, not of the server, over changes of the clock', () => {
    expect(ends(cycle('2026-02-20T00:00:00.000Z', 'America/New_York'), 2)).toEqual([
      '2026-03-19T04:00:00.000Z',
      '2026-04-19T04:00:00.000Z',
    ]);
    expect(ends(cycle('2026-02-10T12:00:00.000Z', 'America/New_York'), 1)).toEqual(['2026-03-10T04:00:00.000Z']);
  });

  it('begins at the first instant of a day that has no midnight', () => {
    // São Paulo went from 00:00 to 01:00 on 4 November 2018.
    expect(ends(cycle('2018-10-04T12:00:00.000Z', 'America/Sao_Paulo'), 1)).toEqual(['2018-11-04T03:00:00.000Z']);
  });

  it('is cut by the end of the trial, which is the anchor from then on', () => {
    const of = cycle('2026-01-01T09:00:00.000Z', 'UTC', '2026-02-10T09:00:00.000Z');
    expect(sequence(of, 4)).toEqual([
      { start: '2026-01-01T09:00:00.000Z', end: '2026-02-01T00:00:00.000Z' },
      { start: '2026-02-01T00:00:00.000Z', end: '2026-02-10T09:00:00.000Z' },
      { start: '2026-02-10T09:00:00.000Z', end: '2026-03-10T00:00:00.000Z' },
      { start: '2026-03-10T00:00:00.000Z', end: '2026-04-10T00:00:00.000Z' },
    ]);
  });

  it('is the first one for an instant before the start', () => {
    expect(periodAt(cycle('2026-01-15T10:30:00.000Z'), '2025-12-01T00:00:00.000Z').start).toBe('2026-01-15T10:30:00.000Z');
  });
});

describe('the end of a trial', () => {
  it('is at the same local time of day, however long the days are', () => {
    expect(trialEnd('2026-03-20T09:00:00.000Z', 14, 'Europe/Berlin')).toBe('2026-04-03T08:00:00.000Z');
  });
  it('is nothing without days', () => {
    expect(trialEnd('2026-03-20T09:00:00.000Z', 0, 'UTC')).toBeNull();
  });
});

describe('for any start, zone and trial', () => {
  const zones = [
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'America/Havana',
    'Asia/Kathmandu',
    'Pacific/Apia',
    'Australia/Lord_Howe',
    'Asia/Beirut',
  ];
  const instants = fc.integer({ min: Date.parse('2000-01-01'), max: Date.parse('2040-01-01') });
  const cycles = fc
    .record({ startMs: instants, timezone: fc.constantFrom(...zones), trialDays: fc.integer({ min: 0, max: 400 }) })
    .map(({ startMs, timezone, trialDays }): Cycle => {
      const startsAt = new Date(startMs).toISOString();
      return { startsAt, timezone, trialEndsAt: trialEnd(startsAt, trialDays, timezone) };
    });

  it('periods are contiguous and grow', () => {
    fc.assert(
      fc.property(cycles, (of) => {
        const periods = sequence(of, 30);
        expect(periods[0]?.start).toBe(of.startsAt);
        periods.forEach((period, index) => {
          expect(Date.parse(period.start)).toBeLessThan(Date.parse(period.end));
          if (index > 0) expect(period.start).toBe(periods[index - 1]?.end);
        });
      }),
      { numRuns: 150 },
    );
  });

  it('the period of an instant holds it, and is the same for every instant within', () => {
    fc.assert(
      fc.property(
        cycles,
        fc.integer({ min: 0, max: 20 * 365 * 86_400_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (of, laterMs, share) => {
          const atMs = Date.parse(of.startsAt) + laterMs;
          const period = periodAt(of, new Date(atMs).toISOString());
          const [startMs, endMs] = [Date.parse(period.start), Date.parse(period.end)];
          expect(startMs).toBeLessThanOrEqual(atMs);
          expect(endMs).toBeGreaterThan(atMs);
          expect(periodAt(of, new Date(startMs + Math.floor((endMs - 1 - startMs) * share)).toISOString())).toEqual(period);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('no period is longer than a month of its calendar, and all but the ends of trials begin at a local day', () => {
    fc.assert(
      fc.property(cycles, (of) => {
        for (const { start, end } of sequence(of, 16)) {
          const from = Temporal.Instant.from(start).toZonedDateTimeISO(of.timezone);
          const to = Temporal.Instant.from(end).toZonedDateTimeISO(of.timezone);
          expect(from.toPlainDate().until(to.toPlainDate()).days).toBeLessThanOrEqual(31);
          if (end !== of.trialEndsAt) expect(to.epochMilliseconds).toBe(to.startOfDay().epochMilliseconds);
        }
      }),
      { numRuns: 150 },
    );
  });
});
