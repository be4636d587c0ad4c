import { eventually } from '@tenantry/testing/eventually';
import { expect, it } from 'vitest';
import { eventsOf, PLATFORM } from '../harness/tenants.js';
import { pidOf } from './processes.js';
import { trial } from './trial.js';

const preload = new URL('../../dist/faults/poisoned.js', import.meta.url).href;

const TENANTS = 6;

it('an event kills the process that handles it: it alone is parked, others go on, and an operator leaves it out', async () => {
  const env = { NODE_OPTIONS: `--import=${preload}`, TENANTRY_FAULT_POISONED: 'audit' };
  await trial('poison', { env, tenants: TENANTS, load: { commandsPerLane: 60 } }, async ({ system, random, workload, note }) => {
    const { api } = system;
    const first = workload.tenantIds.slice(0, TENANTS);
    await workload.after(random.int(20, 60));
    // Those that were there before the load: of the ones that it creates, the last may not be ready for settings.
    const victim = random.pick(first);
    const pids = new Set([await pidOf(system, 'audit')]);
    const begunMs = performance.now();
    const poisoned = await api.put(`${PLATFORM}/tenants/${victim}/settings/deadly.setting`, { value: 'x' });
    expect(poisoned.status).toBe(200);
    const [parked] = await eventually(
      async () => {
        pids.add(await pidOf(system, 'audit'));
        const { body } = await api.get(`${PLATFORM}/parked?service=audit`);
        return body.items.length > 0 && body.unanswered.length === 0 && body.items;
      },
      { timeoutMs: 90_000, intervalMs: 100, what: 'the event to be parked' },
    );
    const parkedAfterMs = performance.now() - begunMs;
    expect(parked).toMatchObject({ kind: 'event', service: 'audit', tenantId: victim, type: 'SettingChanged' });
    const events = await eventsOf(api, victim);
    expect(events[parked.position]).toMatchObject({ type: 'SettingChanged', data: { key: 'deadly.setting' } });
    // The others' trails have what happens to them from here on, and the process lives.
    const survivor = await pidOf(system, 'audit');
    for (const tenantId of first.filter((id) => id !== victim)) {
      const url = `${PLATFORM}/tenants/${tenantId}`;
      const set = await api.put(`${url}/settings/after.poison`, { value: 'x' });
      const position = Number(set.headers.get('tenantry-position')?.split(':')[1]);
      await eventually(
        async () => {
          const { body } = await api.get(`${url}/audit-logs?limit=200`);
          return body.items.some((entry: { position: number }) => entry.position === position);
        },
        { timeoutMs: 60_000, what: `the audit trail of ${tenantId} to go on` },
      );
    }
    expect(await pidOf(system, 'audit')).toBe(survivor);
    expect((await api.post(`${PLATFORM}/parked/${parked.id}/skip`, { reason: 'it kills' })).status).toBe(200);
    await eventually(
      async () => {
        const { body } = await api.get(`${PLATFORM}/consumers?service=audit&tenantId=${victim}`);
        return body.items.every(
          ({ state, position }: { state: string; position: number }) => state === 'running' && position > parked.position,
        );
      },
      { timeoutMs: 60_000, what: 'the victim to go on' },
    );
    note(`parked after ${pids.size - 1} deaths and ${Math.round(parkedAfterMs / 1000)} s`);
  });
});
