import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { kill, metPoints, rearm } from './processes.js';
import { type Trial, trial } from './trial.js';

/** Lets the armed points be met `times` times each, at moments that the seed decides, and says how often they were. */
async function again({ system, random, workload, note }: Trial, points: string[], times: number): Promise<void> {
  const met = new Map<string, number>();
  const count = async () => {
    for (const point of await metPoints(system)) met.set(point, (met.get(point) ?? 0) + 1);
  };
  for (let n = 1; n < times; n++) {
    await workload.after(random.int(60, 100));
    await count();
    await rearm(system);
  }
  await workload.after(30);
  await sleep(2_000);
  await count();
  note(`met ${JSON.stringify(Object.fromEntries(met))}`);
  expect([...met.keys()].sort(), 'points that were met').toEqual(points.map((point) => `${point.replace(':', '.')}.kill`).sort());
}

const armed = (faults: string[]) => ({ TENANTRY_FAULT: faults.map((fault) => `${fault}:kill`).join() });

describe('a process is killed under load', () => {
  it('the relay, between publish and checkpoint and after it', async () => {
    const points = ['relay:publish.done', 'relay:publish.recorded'];
    await trial('relay-killed', { env: armed(points) }, (trial) => again(trial, points, 4));
  });

  it('process managers: before, during and after their effects', async () => {
    const points = [
      // An effect is in the outbox and nobody has begun it.
      'provisioning:projection.recorded',
      'identity:projection.recorded',
      'billing:projection.recorded',
      // The mail is with the provider, and its event is not appended yet; the effect is done, and not marked; it is marked.
      'identity:effect.done',
      'identity:effect.recorded',
      'provisioning:effect.done',
      'provisioning:effect.recorded',
    ];
    await trial('effects-killed', { env: armed(points), load: { creations: 6 } }, (trial) => again(trial, points, 3));
  });

  it('runners, with rows written and not committed', async () => {
    const services = ['provisioning', 'quota-metering', 'domain-ssl', 'billing', 'audit', 'identity'];
    const points = services.map((service) => `${service}:projection.done`);
    await trial('runners-killed', { env: armed(points) }, (trial) => again(trial, points, 3));
  });

  it('any of them, at any moment', async () => {
    await trial('any-killed', {}, async ({ system, random, workload, note }) => {
      const names = (await system.run()).processes.map(({ name }) => name).filter((name) => name !== 'postgres');
      const killed: string[] = [];
      for (let n = 0; n < 8; n++) {
        await workload.after(random.int(10, 40));
        const name = random.pick(names);
        killed.push(name);
        await kill(system, name);
      }
      note(`killed ${killed.join(', ')}`);
    });
  });
});
