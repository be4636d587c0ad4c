import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@tenantry/testing/eventually';
import { untilListening } from '@tenantry/testing/nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { STREAM, World } from './spec/world.js';

let world: World;
let second: ChildProcess | undefined;
beforeAll(async () => {
  world = await World.start();
});
afterAll(async () => {
  await world?.stop();
  second?.kill('SIGKILL');
});

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

it('a broker that is killed and comes back is gone on with: nothing is lost, nothing comes twice', async () => {
  const tenant = randomUUID();
  world.ackWaitMs = 3_000;
  const { seen, positions, notices, acknowledged, running } = await world.follow(await world.subscription([tenant]), {
    handle: async (event) => {
      await sleep(2);
      seen.push(event);
    },
  });
  await world.publish(world.append(tenant, 200));
  await eventually(() => seen.length >= 20);
  const { spawnargs, exitCode } = world.nats.child;
  expect(exitCode).toBeNull();
  world.nats.child.kill('SIGKILL');
  await sleep(300);
  // The same configuration, the same port, the same store.
  second = spawn('nats-server', spawnargs.slice(1), { stdio: 'ignore' });
  await untilListening(world.nats.port);
  await eventually(() => seen.length >= 200, { timeoutMs: 60_000, what: 'what was published before' });
  await eventually(async () => (await world.manager.streams.info(STREAM)).state.messages >= 200, { what: 'the stream' });
  await world.publish(world.append(tenant, 50));
  await eventually(() => seen.length >= 250, { timeoutMs: 60_000, what: 'what was published afterwards' });
  expect(positions()).toEqual(upTo(250));
  expect(notices.filter(({ kind }) => kind === 'dropped')).toEqual([]);
  // Acknowledgements that were on their way are made good: those messages come again and are known.
  await acknowledged();
  expect(running.lag().tenants).toMatchObject([{ tenantId: tenant, position: 249, seen: 249, blocked: false }]);
}, 120_000);
