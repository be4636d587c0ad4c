import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@tenantry/testing/eventually';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MemoryCheckpoints } from './checkpoints.js';
import type { Rewritten } from './engine-options.js';
import { World } from './spec/world.js';

let world: World;
beforeAll(async () => {
  world = await World.start();
});
afterEach(() => world.stopSubscriptions());
afterAll(() => world?.stop());

const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);

describe('a subscription', () => {
  it('hands over each event once, in order, however often and in which order they are published', async () => {
    const tenant = randomUUID();
    const events = world.append(tenant, 50);
    await world.publish(events.slice(0, 10));
    await world.publish([events[12]!, events[10]!, events[11]!]);
    await world.publish(events.slice(5, 20), ':r1');
    await world.publish(events.slice(13));
    const { until, seen, acknowledged, positions } = await world.follow(await world.subscription([tenant]));
    await until(50);
    await acknowledged();
    expect(positions()).toEqual(upTo(50));
    expect(seen[7]).toEqual(events[7]);
  });

  it('goes on with what comes later', async () => {
    const tenant = randomUUID();
    const { until, positions } = await world.follow(await world.subscription('all'));
    await world.publish(world.append(tenant, 3));
    await eventually(() => positions(tenant).length === 3);
    await world.publish(world.append(tenant, 3));
    await eventually(() => positions(tenant).length === 6);
    await until(6);
    expect(positions(tenant)).toEqual(upTo(6));
  });

  it('fills a hole from the log', async () => {
    const tenant = randomUUID();
    const events = world.append(tenant, 10);
    await world.publish(events.filter(({ position }) => position !== 3 && position !== 4));
    const { until, positions, acknowledged, notices } = await world.follow(
      await world.subscription('all', 'all', { positions: { [tenant]: 0 } }),
    );
    await eventually(() => positions(tenant).length === 10);
    await until(10);
    await acknowledged();
    expect(positions(tenant)).toEqual(upTo(10));
    expect(notices).toContainEqual({ kind: 'healed', tenantId: tenant, context: 'all', from: 3, to: 5 });
  });

  it('waits for a log that is away', async () => {
    const tenant = randomUUID();
    const events = world.append(tenant, 4);
    await world.publish([events[0]!, events[3]!]);
    world.failing.push(503, 503, 500, 500);
    const { until, positions } = await world.follow(await world.subscription([tenant]));
    await until(4);
    expect(positions()).toEqual(upTo(4));
  });

  it('begins with what the stream does not hold any more', async () => {
    const [busy, quiet] = [randomUUID(), randomUUID()];
    const events = world.append(busy, 500);
    world.append(quiet, 7);
    await world.publish(events.slice(490));
    const { until, positions } = await world.follow(await world.subscription([busy, quiet]));
    await until(507);
    expect(positions(busy)).toEqual(upTo(500));
    expect(positions(quiet)).toEqual(upTo(7));
  });

  it('of all tenants finds those that nothing was published of lately', async () => {
    const quiet = randomUUID();
    world.append(quiet, 3);
    const { positions } = await world.follow(await world.subscription('all'));
    await eventually(() => positions(quiet).length === 3);
  });

  it('begins at a position, or at an instant', async () => {
    const tenant = randomUUID();
    const events = world.append(tenant, 30);
    await world.publish(events);
    const atPosition = await world.follow(await world.subscription([tenant], 'all', { positions: { [tenant]: 12 } }));
    await atPosition.until(18);
    expect(atPosition.positions()).toEqual(upTo(18, 12));
    const atTime = await world.follow(await world.subscription([tenant], 'all', { time: events[21]!.recordedAt }));
    await atTime.until(9);
    expect(atTime.positions()).toEqual(upTo(9, 21));
  });

  it('of some types leaves the others out, and knows that none is missing', async () => {
    const tenant = randomUUID();
    await world.publish(world.append(tenant, 30, (index) => ({ type: index % 10 === 0 ? 'TenantRegistered' : 'TenantUpdated' })));
    const checkpoints = new MemoryCheckpoints();
    const subscription = { ...(await world.subscription([tenant])), types: ['TenantRegistered'] };
    const { until, positions, acknowledged, running } = await world.follow(subscription, { checkpoints });
    await until(3);
    await acknowledged();
    expect(positions()).toEqual([0, 10, 20]);
    await running.stop();
    expect(await checkpoints.load({ subscription: subscription.id, tenantId: tenant, context: 'all' })).toMatchObject({ position: 29 });
  });

  it('of several contexts merges its consumers in the order of the log', async () => {
    const tenant = randomUUID();
    const contexts = ['tenant', 'billing', 'quota'];
    await world.publish(world.append(tenant, 90, (index) => ({ context: contexts[(index * 7 + (index % 5)) % 3]! })));
    const { until, positions } = await world.follow(await world.subscription([tenant], ['tenant', 'billing']));
    const wanted = world.logs.get(tenant)!.filter(({ context }) => context !== 'quota');
    await until(wanted.length);
    expect(positions()).toEqual(wanted.map(({ position }) => position));
    const more = world.append(tenant, 20, (index) => ({ context: contexts[index % 2]! }));
    await world.publish(more.toReversed());
    await until(wanted.length + 20);
    expect(new Set(positions()).size).toBe(wanted.length + 20);
    for (const context of ['tenant', 'billing']) {
      const inLog = world.logs
        .get(tenant)!
        .filter((event) => event.context === context)
        .map(({ position }) => position);
      expect(positions().filter((position) => inLog.includes(position))).toEqual(inLog);
    }
  });

  it('fills a hole of one context from the log', async () => {
    const tenant = randomUUID();
    const events = world.append(tenant, 40, (index) => ({ context: index % 2 === 0 ? 'tenant' : 'billing' }));
    await world.publish(events.filter(({ position }) => position < 10 || position > 20));
    const { until, positions, acknowledged } = await world.follow(await world.subscription([tenant], ['billing']));
    await until(20);
    await acknowledged();
    expect(positions()).toEqual(events.filter(({ context }) => context === 'billing').map(({ position }) => position));
  });
});

describe('what is no event of the log', () => {
  it('is dropped: beyond its end, at a known position, of nobody, or without sense', async () => {
    const tenant = randomUUID();
    const events = world.append(tenant, 10);
    const { until, positions, acknowledged, notices, seen } = await world.follow(
      await world.subscription([tenant, 'a0000000-0000-4000-8000-000000000000']),
    );
    await world.publish(events);
    await until(10);
    const forged = { ...events[9]!, id: randomUUID(), data: { forged: true } };
    await world.publish([{ ...forged, position: 25, previousInContext: 24 }]);
    await world.publish([{ ...forged, position: 4, previousInContext: 3 }], ':x');
    await world.publish([{ ...forged, tenantId: 'a0000000-0000-4000-8000-000000000000', position: 3, previousInContext: 2 }]);
    await world.publish([{ ...forged, position: 26 }], '', { 'ce-tenantid': randomUUID() });
    await world.publish([{ ...forged, position: 27 }], '', { 'ce-position': '-1' });
    await world.publish(world.append(tenant, 5));
    await until(15);
    await acknowledged();
    expect(positions(tenant)).toEqual(upTo(15));
    expect(seen.some(({ data }) => data.forged)).toBe(false);
    const reasons = notices.flatMap((notice) => (notice.kind === 'dropped' ? [notice.reason] : []));
    expect(reasons.toSorted()).toEqual(['forged', 'forged', 'malformed', 'malformed', 'unknown_tenant']);
  });

  it('is undone where it looked like the next one, as soon as the real one comes', async () => {
    const tenant = randomUUID();
    const rewritten: Rewritten[] = [];
    const { until, seen } = await world.follow(await world.subscription([tenant]), { onRewritten: (at) => rewritten.push(at) });
    await world.publish(world.append(tenant, 5));
    await until(5);
    await world.publish(
      [{ ...world.logs.get(tenant)![4]!, position: 5, previousInContext: 4, id: randomUUID(), data: { forged: true } }],
      ':x',
    );
    await until(6);
    await world.publish(world.append(tenant, 2));
    await until(8);
    expect(rewritten).toEqual([{ tenantId: tenant, context: 'all', from: 5 }]);
    expect(seen.slice(6).map(({ position, data }) => [position, data])).toEqual([
      [5, { n: 5 }],
      [6, { n: 6 }],
    ]);
  });
});

describe('history that was rewritten', () => {
  /** The log as it was before a position, and others from there. */
  const setBack = (tenant: string, position: number, count: number) => {
    world.logs.get(tenant)!.length = position;
    return world.append(tenant, count, { data: { rewritten: true } });
  };

  it('is told, and read again from where it differs', async () => {
    const tenant = randomUUID();
    const rewritten: Rewritten[] = [];
    const { until, seen, acknowledged } = await world.follow(await world.subscription([tenant]), {
      onRewritten: (at) => rewritten.push(at),
    });
    await world.publish(world.append(tenant, 20));
    await until(20);
    await world.publish(setBack(tenant, 12, 4), ':r1');
    await until(24);
    await acknowledged();
    expect(rewritten).toEqual([{ tenantId: tenant, context: 'all', from: 12 }]);
    expect(seen.slice(20).map(({ position, data }) => [position, data])).toEqual(
      upTo(4, 12).map((position) => [position, { rewritten: true }]),
    );
    // The broker swallows an id that it has seen: what is published at such a position again has another one.
    await world.publish(world.append(tenant, 2), ':r1');
    await until(26);
    expect(seen.slice(24).map(({ position }) => position)).toEqual([16, 17]);
  });

  it('is noticed after a restart too, from the first event on where nothing else is known', async () => {
    const tenant = randomUUID();
    const checkpoints = new MemoryCheckpoints();
    const subscription = await world.subscription([tenant]);
    const first = await world.follow(subscription, { checkpoints });
    await world.publish(world.append(tenant, 20));
    await first.until(20);
    await first.running.stop();
    setBack(tenant, 12, 9);
    const rewritten: Rewritten[] = [];
    const second = await world.follow(subscription, { checkpoints, onRewritten: (at) => rewritten.push(at) });
    await second.until(21);
    expect(rewritten).toEqual([{ tenantId: tenant, context: 'all', from: 0 }]);
    expect(second.positions()).toEqual(upTo(21));
  });

  it('ends a subscription that cannot undo it', async () => {
    const tenant = randomUUID();
    const { until, running } = await world.follow(await world.subscription([tenant]));
    await world.publish(world.append(tenant, 5));
    await until(5);
    await world.publish(setBack(tenant, 2, 2), ':r1');
    await expect(running.ended).rejects.toThrow(/rewritten from position 2 on: pass onRewritten/);
  });
});

describe('a handler', () => {
  it('that fails is called again, and holds up nobody but its tenant', async () => {
    const [bad, good] = [randomUUID(), randomUUID()];
    let failures = 0;
    const seen: string[] = [];
    const { notices } = await world.follow(await world.subscription([bad, good]), {
      handle: ({ tenantId, position }) => {
        if (tenantId === bad && position === 1 && failures < 3) {
          failures += 1;
          throw new Error('not now');
        }
        seen.push(`${tenantId === bad ? 'bad' : 'good'} ${position}`);
      },
    });
    await world.publish(world.append(bad, 3));
    await world.publish(world.append(good, 3));
    await eventually(() => seen.length === 6);
    expect(seen.filter((each) => each.startsWith('bad'))).toEqual(['bad 0', 'bad 1', 'bad 2']);
    expect(seen.indexOf('good 2')).toBeLessThan(seen.indexOf('bad 1'));
    expect(notices.filter(({ kind }) => kind === 'failed')).toHaveLength(3);
  });

  it('that never can is asked what to do', async () => {
    const tenant = randomUUID();
    const poison: [number, string][] = [];
    const { acknowledged, running } = await world.follow(await world.subscription([tenant]), {
      attempts: 2,
      handle: ({ position }) => {
        if (position !== 1) throw new Error('never');
      },
      onPoison: ({ position }, error) => {
        poison.push([position, (error as Error).message]);
        return 'skip';
      },
    });
    await world.publish(world.append(tenant, 3));
    await eventually(() => poison.length === 2);
    await acknowledged();
    expect(poison).toEqual([
      [0, 'never'],
      [2, 'never'],
    ]);
    expect(running.lag().tenants).toMatchObject([{ tenantId: tenant, position: 2, blocked: false }]);
  });

  it('that stops ends the subscription with its error', async () => {
    const tenant = randomUUID();
    const { running } = await world.follow(await world.subscription([tenant]), {
      attempts: 1,
      onPoison: () => 'stop',
      handle: () => {
        throw new Error('no use');
      },
    });
    await world.publish(world.append(tenant, 1));
    await expect(running.ended).rejects.toThrow('no use');
  });

  it('that is slow lets the broker keep what it cannot hold', async () => {
    const tenant = randomUUID();
    await world.publish(world.append(tenant, 300));
    let most = 0;
    const { until, running, positions, seen } = await world.follow(await world.subscription([tenant]), {
      maxBuffered: 20,
      handle: async (event) => {
        seen.push(event);
        most = Math.max(most, running.lag().consumers[0]!.held);
        await sleep(1);
      },
    });
    await until(300);
    expect(positions()).toEqual(upTo(300));
    expect(most).toBeLessThanOrEqual(20);
    expect(most).toBeGreaterThan(5);
  });

  it('gets personal data in clear, asked for together', async () => {
    const tenant = randomUUID();
    await world.publish(world.append(tenant, 60, (index) => ({ data: index % 2 === 0 ? { email: { enc: `k:${index}` } } : { n: index } })));
    world.asked.length = 0;
    const { until, seen } = await world.follow(await world.subscription([tenant], 'all', { positions: { [tenant]: 0 } }), {
      decrypt: true,
    });
    await until(60);
    expect(seen[2]!.data).toEqual({ email: 'clear k:2' });
    expect(seen[3]!.data).toEqual({ n: 3 });
    expect(JSON.stringify(seen)).not.toContain('"enc"');
    expect(world.asked.filter((line) => line.includes('decrypt')).length).toBeLessThan(10);
  });
});

describe('a stopped subscription', () => {
  it('goes on where it was: nothing is lost, nothing comes twice', async () => {
    const tenant = randomUUID();
    await world.publish(world.append(tenant, 200));
    const subscription = await world.subscription([tenant]);
    const checkpoints = new MemoryCheckpoints();
    const all: number[] = [];
    for (let round = 0; round < 5 && all.length < 200; round++) {
      const { running } = await world.follow(subscription, {
        checkpoints,
        handle: async ({ position }) => {
          await sleep(1);
          all.push(position);
        },
      });
      await eventually(() => all.length >= Math.min(200, (round + 1) * 40));
      await running.stop();
      await running.ended;
    }
    expect(all).toEqual(upTo(200));
  });
});
