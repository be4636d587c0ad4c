import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Api, api as client } from '../harness/api.js';
import { type System, startSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

const ROUNDS = 20;
const WITHIN_MS = 1_000;

let system: System;
let gateways: Api[];
beforeAll(async () => {
  system = await startSystem({ TENANTRY_REPLICAS: 'gateway=2,quota-metering=2,domain-ssl=2' });
  const ports = JSON.parse(await readFile(join(system.dataDir, 'ports.json'), 'utf8'));
  gateways = [system.api, client(`http://127.0.0.1:${ports['gateway-1']}`, system.api.key)];
});
afterAll(() => system.stop());

/** How long after `change` was answered every replica that is asked, over and over, says so for good. */
async function untilAllSay(refused: boolean, asks: (() => Promise<{ status: number }>)[]): Promise<number> {
  const startedMs = performance.now();
  const endMs = startedMs + 5 * WITHIN_MS;
  let lastWrongMs = startedMs;
  // A replica of those that share the requests of a queue is asked only by chance: so for a while after the first right answers.
  while (performance.now() < Math.min(endMs, lastWrongMs + WITHIN_MS)) {
    const answers = await Promise.all(asks.map((ask) => ask()));
    if (answers.some(({ status }) => (status === 403) !== refused)) lastWrongMs = performance.now();
    await sleep(5);
  }
  return lastWrongMs - startedMs;
}

it('a tenant that is closed, and opened, is so in every replica within a second', async () => {
  const tenant = (await activeTenant(system.api, { name: unique('Closing'), isolation: 'shared' })).tenant;
  const url = `${PLATFORM}/tenants/${tenant.id}`;
  const { key } = (await system.api.post(`${url}/api-keys`, { name: 'own' })).body;
  const asks = gateways.flatMap((gateway) => [
    () => gateway.as(key).get('/api/tenants/current'),
    () => gateway.post(`${url}/quotas/check`, { resource: 'api_calls' }),
    () => gateway.post(`${url}/quotas/check`, { resource: 'api_calls' }),
  ]);
  const tookMs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [close, open] = round % 2 === 0 ? ['suspend', 'reactivate'] : ['archive', 'restore'];
    expect((await system.api.post(`${url}/${close}`)).status).toBe(200);
    tookMs.push(await untilAllSay(true, asks));
    expect((await system.api.post(`${url}/${open}`)).status).toBe(200);
    tookMs.push(await untilAllSay(false, asks));
  }
  tookMs.sort((a, b) => a - b);
  console.log(
    `felt by two replicas each of the gateway and of quota-metering: median ${tookMs[ROUNDS]?.toFixed(0)} ms, at most ${tookMs.at(-1)?.toFixed(0)} ms`,
  );
  expect(tookMs.at(-1)).toBeLessThan(WITHIN_MS);
});
