import { simulateRelays } from '@tenantry/messaging/simulation/relay-simulation';
import { simulate } from '@tenantry/messaging/simulation/simulation';
import { expect, it } from 'vitest';

// The spec beside the simulation tries a sample at every `npm test`; here are thousands, others each time unless a seed is named.
const given = process.env['TENANTRY_FAULT_SEED'];
const first = given === undefined ? Date.now() % 1_000_000_000 : Number(given);
const seeds = 3_000;
// Most of the errors here are part of the weather: their stacks cost more than what is simulated.
Error.stackTraceLimit = 0;

it(`simulates ${seeds} seeds from ${first} on`, async () => {
  const started = performance.now();
  const total = { events: 0, kills: 0, acknowledged: 0 };
  for (let seed = first; seed < first + seeds; seed++) {
    const { faults, events, kills, acknowledged } = await simulate(seed);
    expect(faults, `replay with TENANTRY_SIMULATION_SEED=${seed}`).toEqual([]);
    total.events += events;
    total.kills += kills;
    total.acknowledged += acknowledged;
  }
  const seconds = (performance.now() - started) / 1_000;
  console.log(
    `simulation: ${seeds} seeds from ${first} on in ${Math.round(seconds)} s (${Math.round((seeds / seconds) * 60)} a minute)`,
    total,
  );
}, 1_800_000);

it(`simulates relays with ${seeds} seeds from ${first} on`, async () => {
  const started = performance.now();
  let events = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const report = await simulateRelays(seed);
    expect(report.faults, `replay with TENANTRY_SIMULATION_SEED=${seed}`).toEqual([]);
    events += report.events;
  }
  const seconds = (performance.now() - started) / 1_000;
  console.log(
    `relays: ${seeds} seeds from ${first} on in ${Math.round(seconds)} s (${Math.round((seeds / seconds) * 60)} a minute), ${events} events`,
  );
}, 1_800_000);
