import { newId, tenantKey } from '@tenantry/contracts/ids';
import { silentLogger } from '@tenantry/observability/logger';
import { describe, expect, it } from 'vitest';
import { everything, serviceWithRunners, until } from './runner.fixture.js';
import { NatsWakeUps } from './wake-ups.js';

const { on, runner, append, rows, wake, notesOf, freeze } = serviceWithRunners();

describe("rows in the tenant's schema", () => {
  it('wait for the place to be there, and catch up when its step is said to be done', async () => {
    const id = newId();
    await runner({ projections: [everything], wakeUps: new NatsWakeUps(on.connection, silentLogger), options: { tenantDelayMs: 50 } });
    await append(id, 'TenantRegistered', { name: 'x' });
    wake(id, 'TenantRegistered', {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    await on.tenants.place(id);
    wake(id, 'TenantRegistered', {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await notesOf(id)).toEqual([]);
    await append(id, 'ProvisioningStepCompleted', { step: 'isolate' });
    wake(id, 'ProvisioningStepCompleted', { step: 'isolate' });
    await until(async () => expect(await notesOf(id)).toHaveLength(2));
  });

  it('are filled again in another place when the tenant has moved', async () => {
    const id = newId();
    await on.tenants.place(id);
    const running = await runner({ projections: [everything], options: { sweepMs: 100 } });
    const at = await append(id, 'TenantRegistered', { name: 'x' });
    await on.pool.query('INSERT INTO log.heads VALUES ($1, $2)', [id, at]);
    running.appended([id]);
    await until(async () => expect(await notesOf(id)).toHaveLength(1));
    await until(async () => expect(await rows('SELECT generation FROM svc.hints WHERE tenant_id = $1', [id])).toEqual([{ generation: 1 }]));
    await on.tenants.move(id, 'svc_notes');
    await until(async () => expect(await notesOf(id)).toHaveLength(1));
    await until(async () => expect(await rows('SELECT generation FROM svc.hints WHERE tenant_id = $1', [id])).toEqual([{ generation: 2 }]));
  });

  it('of a tenant whose database is silent hold up nobody else', async () => {
    const [silent, ...others] = Array.from({ length: 9 }, newId) as [string, ...string[]];
    for (const id of [silent, ...others]) await on.tenants.place(id);
    const running = await runner({ projections: [everything], options: { concurrency: 1 } });
    const thaw = await freeze(`LOCK TABLE t_${tenantKey(silent)}.checkpoints`);
    for (const id of [silent, ...others]) await append(id, 'TenantRegistered', { name: 'x' });
    running.appended([silent]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    running.appended(others);
    await until(async () => {
      for (const id of others) expect(await notesOf(id)).toHaveLength(1);
    });
    expect(await notesOf(silent)).toEqual([]);
    await thaw();
    await until(async () => expect(await notesOf(silent)).toHaveLength(1));
  });

  it('take many events with few transactions, each once, with two replicas', async () => {
    const id = newId();
    await on.tenants.place(id);
    const replicas = await Promise.all([runner({ projections: [everything] }), runner({ projections: [everything] })]);
    const before = on.tenants.transactions;
    for (let n = 0; n < 200; n++) {
      await append(id, 'TenantUpdated', { name: `n${n}` });
      for (const replica of replicas) replica.appended([id]);
    }
    await until(async () => expect(await notesOf(id)).toHaveLength(200));
    expect(on.tenants.transactions - before).toBeLessThan(12);
  });
});
