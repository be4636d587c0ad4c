import { describe, expect, it } from 'vitest';
import type { RelaySabotage } from './relay-tables.js';
import type { Sabotage } from './rows.js';
import { type Report, simulate } from './simulation.js';

// One seed of an earlier failure, or how many to try: TENANTRY_SIMULATION_SEED=<n>, TENANTRY_SIMULATION_SEEDS=<count>.
const replayed = process.env['TENANTRY_SIMULATION_SEED'];
const count = Number(process.env['TENANTRY_SIMULATION_SEEDS'] ?? 150);
const first = replayed === undefined ? 1 : Number(replayed);
// Most of the errors here are part of the weather: their stacks cost more than what is simulated.
Error.stackTraceLimit = 0;
const last = replayed === undefined ? count : first;

/** The first report with something wrong; null where all of the seeds end well. */
async function firstFailure(from: number, to: number, sabotage?: Sabotage & RelaySabotage): Promise<Report | null> {
  for (let seed = from; seed <= to; seed++) {
    const report = await simulate(seed, sabotage);
    if (report.faults.length > 0) return report;
  }
  return null;
}

describe('the simulation', () => {
  it(
    'ends with everything exactly once, whatever dies, freezes or gets lost on the way',
    async () => {
      const started = performance.now();
      let events = 0;
      let kills = 0;
      for (let seed = first; seed <= last; seed++) {
        const report = await simulate(seed);
        expect(report.faults, `replay with TENANTRY_SIMULATION_SEED=${seed}`).toEqual([]);
        events += report.events;
        kills += report.kills;
      }
      const seconds = (performance.now() - started) / 1_000;
      const seeds = last - first + 1;
      console.log(`simulation: ${seeds} seeds, ${events} events, ${kills} kills, ${Math.round(seeds / seconds)} seeds/s`);
      expect(events).toBeGreaterThan(0);
    },
    Math.max(120_000, count * 500),
  );

  it('gives the same run for the same seed', async () => {
    expect(await simulate(7)).toEqual(await simulate(7));
    expect((await simulate(8)).digest).not.toBe((await simulate(7)).digest);
  });

  it.each<[string, Sabotage & RelaySabotage]>([
    ['a checkpoint is moved wherever it was', { checkpointsUnchecked: true }],
    ['rows are written outside of the transaction', { rowsOutsideTransaction: true }],
    ['each attempt at an effect has a key of its own', { freshEffectKeys: true }],
    ['relays never compare the stream with the logs', { auditsNothing: true }],
  ])('notices when %s', async (_what, sabotage) => {
    expect(await firstFailure(1, 40, sabotage)).not.toBeNull();
  });
});
