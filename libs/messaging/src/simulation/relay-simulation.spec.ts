import { describe, expect, it } from 'vitest';
import { type RelayReport, simulateRelays } from './relay-simulation.js';
import type { RelaySabotage } from './relay-tables.js';

// One seed of an earlier failure, or how many to try: TENANTRY_SIMULATION_SEED=<n>, TENANTRY_SIMULATION_SEEDS=<count>.
const replayed = process.env['TENANTRY_SIMULATION_SEED'];
const count = Number(process.env['TENANTRY_SIMULATION_SEEDS'] ?? 100);
const first = replayed === undefined ? 1 : Number(replayed);
const last = replayed === undefined ? count : first;
Error.stackTraceLimit = 0;

async function firstFailure(to: number, sabotage: RelaySabotage, options?: { disasters: boolean }): Promise<RelayReport | null> {
  for (let seed = 1; seed <= to; seed++) {
    const report = await simulateRelays(seed, sabotage, options);
    if (report.faults.length > 0) return report;
  }
  return null;
}

describe('simulated relays', () => {
  it(
    'end with every event of every log in the stream, whatever happens to the broker and the database',
    async () => {
      const started = performance.now();
      let events = 0;
      const disasters = new Map<string, number>();
      for (let seed = first; seed <= last; seed++) {
        const report = await simulateRelays(seed);
        expect(report.faults, `replay with TENANTRY_SIMULATION_SEED=${seed}`).toEqual([]);
        events += report.events;
        for (const what of report.disasters) disasters.set(what, (disasters.get(what) ?? 0) + 1);
      }
      const seeds = last - first + 1;
      const perSecond = Math.round(seeds / ((performance.now() - started) / 1_000));
      console.log(`relays: ${seeds} seeds, ${events} events, ${perSecond} seeds/s`, Object.fromEntries(disasters));
      expect(events).toBeGreaterThan(0);
    },
    Math.max(120_000, count * 500),
  );

  it('give the same run for the same seed', async () => {
    expect(await simulateRelays(11)).toEqual(await simulateRelays(11));
  });

  it.each<[string, RelaySabotage]>([
    ['nothing is compared with the stream', { auditsNothing: true }],
    ['what a comparison finds is not written down', { findingsLost: true }],
  ])('are seen to fail when %s', async (_what, sabotage) => {
    expect(await firstFailure(100, sabotage)).not.toBeNull();
  });

  it('are seen to fail when what was sent counts as acknowledged, where no comparison makes it good', async () => {
    const [calm, blind] = [{ disasters: false }, { auditsNothing: true }];
    expect(await firstFailure(20, blind, calm)).toBeNull();
    expect(await firstFailure(20, { ...blind, believesBeforeAcknowledged: true }, calm)).not.toBeNull();
  });
});
