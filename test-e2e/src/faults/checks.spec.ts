import { expect, it } from 'vitest';
import { startSystem } from '../harness/system.js';
import { adminPool, checkSubscriber } from './checks.js';
import { checkCommands, checkLogs } from './log-checks.js';
import { seeded } from './random.js';
import { checkReadModels, untilSettled } from './read-models.js';
import { Subscriber } from './subscriber.js';
import { Workload } from './workload.js';

it('the checks see what is lost, doubled or altered', async () => {
  const system = await startSystem();
  const run = await system.run();
  const admin = adminPool(run.postgresUrl);
  const subscriber = new Subscriber(run);
  try {
    await subscriber.start();
    const workload = new Workload({ random: seeded('checks'), api: system.api, commandsPerLane: 8, creations: 0 });
    const tenantId = (await workload.create(2))[0] as string;
    await workload.run();
    await untilSettled(admin, 60_000);
    const { sent } = workload;
    const logs = await checkLogs(admin);
    await checkCommands(admin, sent, logs);
    await checkSubscriber(subscriber, logs, 'the subscriber', false, 20_000);

    const acknowledged = { ...sent[0], tenantId, acknowledged: true, key: 'never-sent' } as (typeof sent)[number];
    for (const route of ['settings.put', 'usage.increment']) {
      const lost = { ...acknowledged, route, events: route === 'settings.put' ? (1 as const) : (0 as const), amount: 1 };
      await expect(checkCommands(admin, [...sent, lost], logs)).rejects.toThrow(/never-sent/);
    }
    const doubled = new Map(logs);
    const events = logs.get(tenantId) ?? [];
    const renamed = events.find(({ type }) => type === 'SettingChanged') ?? events.find(({ type }) => type === 'TenantUpdated');
    doubled.set(tenantId, [...events, renamed as (typeof events)[number]]);
    await expect(checkCommands(admin, sent, doubled)).rejects.toThrow(tenantId);

    const taken = subscriber.taken.get(tenantId) ?? [];
    const [missed] = taken.splice(2, 1);
    await expect(checkSubscriber(subscriber, logs, 'the subscriber', false, 1_000)).rejects.toThrow(/1 of \d+ .* are missing/);
    taken.push(missed as (typeof taken)[number], missed as (typeof taken)[number]);
    await expect(checkSubscriber(subscriber, logs, 'the subscriber', false, 1_000)).rejects.toThrow(/positions of/);

    // The replay puts right what it finds, so that each is found once.
    await admin.query("UPDATE provisioning.tenants SET name = 'Somebody' WHERE tenant_id = $1", [tenantId]);
    await expect(checkReadModels(system, admin)).rejects.toThrow(/provisioning\.tenants against its replay/);
    await admin.query('DELETE FROM shared.audit_entries WHERE position = 3');
    await expect(checkReadModels(system, admin)).rejects.toThrow(/shared\.audit_entries against its replay/);
    await checkReadModels(system, admin);

    await admin.query('UPDATE log.events SET data = data || \'{"more": 1}\' WHERE tenant_id = $1 AND position = 4', [tenantId]);
    await expect(checkLogs(admin)).rejects.toThrow(/hashes/);
    await admin.query('DELETE FROM log.events WHERE tenant_id = $1 AND position = 4', [tenantId]);
    await expect(checkLogs(admin)).rejects.toThrow();
  } finally {
    await subscriber.stop();
    await admin.end();
    await system.stop();
  }
});
