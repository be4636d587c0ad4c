import { newId } from '@tenantry/contracts/ids';
import { command } from '@tenantry/event-store/conformance/given';
import { silentLogger } from '@tenantry/observability/logger';
import { describe, expect, it } from 'vitest';
import { namesOf, pages, serviceWithRunners, until, welcome } from './runner.fixture.js';
import { SystemScheduler } from './scheduler.js';
import { NatsWakeUps } from './wake-ups.js';

const { on, store, runner, append, rows, wake, nameOf, freeze } = serviceWithRunners();

describe("rows in the service's own schema", () => {
  it('follow the logs of many tenants, checkpoints included', async () => {
    const ids = Array.from({ length: 50 }, () => newId());
    for (const id of ids) {
      await append(id, 'TenantRegistered', { name: `n-${id}` });
      await append(id, 'TenantActivated', {});
      await append(id, 'TenantUpdated', { name: `m-${id}` });
    }
    const running = await runner();
    running.appended(ids);
    await until(async () => {
      expect(await rows('SELECT count(*)::int AS n FROM svc.names WHERE tenant_id = ANY($1) AND updates = 1', [ids])).toEqual([{ n: 50 }]);
    });
    expect(await rows('SELECT DISTINCT position::int FROM svc.checkpoints WHERE tenant_id = ANY($1)', [ids])).toEqual([{ position: 2 }]);
  });

  it('take every event once, with several replicas and any number of wake-ups', async () => {
    const id = newId();
    await append(id, 'TenantRegistered', { name: 'a' });
    const replicas = await Promise.all([runner(), runner(), runner()]);
    for (let n = 0; n < 60; n++) {
      await append(id, 'TenantUpdated', { name: `a${n}` });
      for (const replica of replicas) replica.appended([id]);
      if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'a59', updates: 60 }));
  });

  it('commit with the effects that their events ask for, whose ids are derived from the events', async () => {
    const id = newId();
    let woken = 0;
    const running = await runner({ processes: [welcome], onEffects: () => (woken += 1) });
    await append(id, 'TenantRegistered', { name: 'e' });
    running.appended([id]);
    await until(async () => expect(woken).toBeGreaterThan(0));
    const [first] = await rows('SELECT id, name, payload, state FROM svc.effects WHERE tenant_id = $1', [id]);
    expect(first).toMatchObject({ name: 'welcome', payload: { name: 'e' }, state: 'pending' });
  });

  it('are rebuilt when the version of a projection is raised, without asking for effects again', async () => {
    const id = newId();
    const before = await runner({ processes: [welcome] });
    await append(id, 'TenantRegistered', { name: 'v' });
    await append(id, 'TenantUpdated', { name: 'w' });
    before.appended([id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'w', updates: 1 }));
    await before.stop();
    await on.pool.query("UPDATE svc.names SET name = 'broken', updates = 7 WHERE tenant_id = $1", [id]);
    await on.pool.query('DELETE FROM svc.effects WHERE tenant_id = $1', [id]);
    await on.pool.query('INSERT INTO log.heads VALUES ($1, 1)', [id]);
    // Nobody tells it: the sweep at its start finds that the hint is of another version.
    await runner({ projections: [namesOf(2)], processes: [welcome] });
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'w', updates: 1 }));
    expect(await rows('SELECT FROM svc.effects WHERE tenant_id = $1', [id])).toEqual([]);
  });

  it('are rebuilt where the log is not the one of their checkpoint', async () => {
    const id = newId();
    const first = await runner();
    await append(id, 'TenantRegistered', { name: 'old' });
    first.appended([id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'old', updates: 0 }));
    await first.stop();
    await on.pool.query('UPDATE svc.checkpoints SET event_id = gen_random_uuid(), position = 5 WHERE tenant_id = $1', [id]);
    await on.pool.query("UPDATE svc.names SET name = 'of another history' WHERE tenant_id = $1", [id]);
    const second = await runner();
    second.appended([id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'old', updates: 0 }));
  });

  it("stop at an event that a handler can't take, for that tenant only, and are parked after five attempts", async () => {
    const [poisoned, healthy] = [newId(), newId()];
    const running = await runner();
    for (const id of [poisoned, healthy]) await append(id, 'TenantRegistered', { name: 'ok' });
    await append(poisoned, 'TenantUpdated', { name: 'poison' });
    await append(healthy, 'TenantUpdated', { name: 'fine' });
    running.appended([poisoned, healthy]);
    await until(async () => expect(await nameOf(healthy)).toEqual({ name: 'fine', updates: 1 }));
    await until(
      async () =>
        expect((await rows('SELECT attempts, position::int, error FROM svc.parked WHERE tenant_id = $1', [poisoned]))[0]).toMatchObject({
          attempts: 5,
          position: 1,
        }),
      { timeoutMs: 15_000 },
    );
    expect(await nameOf(poisoned)).toEqual({ name: 'ok', updates: 0 });
  }, 20_000);
});

describe('a rebuild', () => {
  it('is seen by readers as one change, or not at all', async () => {
    const id = newId();
    const running = await runner({ projections: [pages] });
    for (let n = 0; n < 60; n++) {
      const events = Array.from({ length: 50 }, () => ({ type: 'TenantUpdated', data: { name: 'x' } }));
      await store.append(command(id, { stream: newId(), events }));
    }
    running.appended([id]);
    const count = async () => (await rows('SELECT count(*)::int AS n FROM svc.pages WHERE tenant_id = $1', [id]))[0].n;
    await until(async () => expect(await count()).toBe(3_000), { timeoutMs: 15_000 });
    const seen = new Set<number>();
    let over = false;
    const reading = (async () => {
      while (!over) seen.add(await count());
    })();
    expect(await running.rebuild('service', id)).toBe(3_000);
    over = true;
    await reading;
    expect([...seen]).toEqual([3_000]);
  }, 30_000);

  it.each([
    ['asks again, by the same ids, for effects of a history that was rewritten', 0, 1],
    ['does not ask again for effects that may have been forgotten since', 10 * 24 * 3_600_000, 0],
  ])('%s', async (_, laterMs, asked) => {
    class Later extends SystemScheduler {
      override wallMs(): number {
        return super.wallMs() + laterMs;
      }
    }
    const id = newId();
    const first = await runner({ processes: [welcome] });
    await append(id, 'TenantRegistered', { name: 'r' });
    first.appended([id]);
    const effectsOf = () => rows('SELECT id FROM svc.effects WHERE tenant_id = $1', [id]);
    await until(async () => expect(await effectsOf()).toHaveLength(1));
    const [before] = await effectsOf();
    await first.stop();
    await on.pool.query('DELETE FROM svc.effects WHERE tenant_id = $1', [id]);
    await on.pool.query('UPDATE svc.checkpoints SET event_id = gen_random_uuid() WHERE tenant_id = $1', [id]);
    await on.pool.query("UPDATE svc.names SET name = 'of another history' WHERE tenant_id = $1", [id]);
    const second = await runner({ processes: [welcome], scheduler: new Later() });
    second.appended([id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'r', updates: 0 }));
    expect(await effectsOf()).toEqual(asked === 1 ? [before] : []);
  });
});

describe('what an operator has left out', () => {
  it('is passed over, then and by a rebuild', async () => {
    const id = newId();
    const running = await runner({ options: { sweepMs: 100 } });
    await append(id, 'TenantRegistered', { name: 'ok' });
    await append(id, 'TenantUpdated', { name: 'poison' });
    await append(id, 'TenantUpdated', { name: 'after' });
    running.appended([id]);
    const parked = async () => (await rows('SELECT event_id, type FROM svc.parked WHERE tenant_id = $1', [id]))[0];
    await until(async () => expect(await parked()).toMatchObject({ type: 'TenantUpdated' }), { timeoutMs: 15_000 });
    await on.pool.query(
      `WITH gone AS (DELETE FROM svc.parked WHERE tenant_id = $1 RETURNING consumer, tenant_id, event_id, position)
       INSERT INTO svc.skipped SELECT consumer, tenant_id, event_id, position, 'a test', 'tester' FROM gone`,
      [id],
    );
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'after', updates: 1 }));
    await running.stop();
    await on.pool.query('INSERT INTO log.heads VALUES ($1, 2)', [id]);
    await on.pool.query("UPDATE svc.names SET name = 'broken' WHERE tenant_id = $1", [id]);
    await runner({ projections: [namesOf(2)] });
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'after', updates: 1 }));
  }, 30_000);
});

describe('a checkpoint that somebody else has locked', () => {
  it('holds up nobody else, and is taken up soon after it is free', async () => {
    const [locked, free] = [newId(), newId()];
    const running = await runner();
    for (const id of [locked, free]) await append(id, 'TenantRegistered', { name: 'first' });
    running.appended([locked, free]);
    await until(async () => expect(await nameOf(locked)).toEqual({ name: 'first', updates: 0 }));
    const thaw = await freeze('SELECT FROM svc.checkpoints WHERE tenant_id = $1 FOR UPDATE', [locked]);
    for (const id of [locked, free]) await append(id, 'TenantUpdated', { name: 'second' });
    running.appended([locked, free]);
    await until(async () => expect(await nameOf(free)).toEqual({ name: 'second', updates: 1 }));
    expect(await nameOf(locked)).toEqual({ name: 'first', updates: 0 });
    await thaw();
    await until(async () => expect(await nameOf(locked)).toEqual({ name: 'second', updates: 1 }), { timeoutMs: 2_000 });
  });
});

describe('what the database refuses', () => {
  it('is one event that is parked, whatever batch it was in', async () => {
    const id = newId();
    const running = await runner();
    await append(id, 'TenantRegistered', { name: 'ok' });
    await append(id, 'TenantUpdated', { name: 'fine' });
    await append(id, 'TenantUpdated', { name: 'refused' });
    running.appended([id]);
    const parked = async () => (await rows('SELECT position::int, type FROM svc.parked WHERE tenant_id = $1', [id]))[0];
    await until(async () => expect(await parked()).toEqual({ position: 2, type: 'TenantUpdated' }), { timeoutMs: 15_000 });
    expect(await nameOf(id)).toEqual({ name: 'fine', updates: 1 });
  }, 20_000);
});

describe('wake-ups', () => {
  it('come from the bus, on the subjects of what is handled', async () => {
    const id = newId();
    await runner({ wakeUps: new NatsWakeUps(on.connection, silentLogger) });
    await append(id, 'TenantRegistered', { name: 'woken' });
    wake(id, 'TenantRegistered', {});
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'woken', updates: 0 }));
  });

  it('are believed nothing: what a message says of an event is not applied', async () => {
    const id = newId();
    await runner({ wakeUps: new NatsWakeUps(on.connection, silentLogger) });
    wake(id, 'TenantRegistered', { name: 'forged' });
    on.connection.publish('tenantry.events.not-a-tenant.tenant.TenantRegistered', '{}');
    await append(id, 'TenantActivated', {});
    wake(id, 'TenantUpdated', {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await nameOf(id)).toBeUndefined();
  });

  it('need not come: the sweep finds what nobody said', async () => {
    const id = newId();
    await runner({ options: { sweepMs: 100 } });
    await append(id, 'TenantRegistered', { name: 'found' });
    await on.pool.query('INSERT INTO log.heads VALUES ($1, 0)', [id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'found', updates: 0 }));
  });
});
