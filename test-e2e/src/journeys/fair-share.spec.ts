import { beforeAll, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

/** As the gateway has them: so many are worked on for one tenant, so many wait, the next is refused. */
const IN_FLIGHT = 32;
const WAITING = 500;

let api: Api;
let run: RunFile;
beforeAll(async () => {
  ({ api, run } = await sharedSystem());
});

const withKey = async (name: string) => {
  const { tenant } = await activeTenant(api, { name: unique(name), plan: 'enterprise' });
  const { body } = await api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'flood' });
  return { id: tenant.id as string, as: api.as(body.key) };
};
const gauge = async (name: string): Promise<number> => {
  const gateway = run.processes.find((process) => process.name === 'gateway');
  const text = await (await fetch((gateway?.healthUrl ?? '').replace('/readyz', '/metrics'))).text();
  return Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'm').exec(text)?.[1]);
};
const p99 = (values: number[]) => Math.round([...values].sort((a, b) => a - b)[Math.floor(values.length * 0.99)] as number);

it('a tenant that floods with calls and queries is served its share; another one is not refused and does not fail', async () => {
  const [flooding, other] = await Promise.all([withKey('Flood'), withKey('Calm')]);
  const took = { flooding: [] as number[], other: [] as number[] };
  const asks = async (who: { id: string; as: Api }, times: number[]) => {
    const begun = performance.now();
    const { status } = await who.as.get(`/api/tenants/${who.id}/audit-logs?limit=1000`);
    times.push(performance.now() - begun);
    return status;
  };

  const flood = Promise.all(Array.from({ length: 900 }, () => asks(flooding, took.flooding)));
  let going = true;
  void flood.finally(() => {
    going = false;
  });
  const calm: number[] = [];
  const peak = { inFlight: 0, waiting: 0 };
  while (going) {
    calm.push(await asks(other, took.other));
    peak.inFlight = Math.max(peak.inFlight, await gauge('tenantry_tenant_requests_in_flight'));
    peak.waiting = Math.max(peak.waiting, await gauge('tenantry_tenant_requests_waiting'));
  }
  const statuses = await flood;

  expect(new Set(calm)).toEqual(new Set([200]));
  expect([...new Set(statuses)].filter((status) => status !== 200 && status !== 429)).toEqual([]);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(0);
  // The other tenant's one request is counted too.
  expect(peak.inFlight).toBeLessThanOrEqual(IN_FLIGHT + 1);
  expect(peak.waiting).toBeLessThanOrEqual(WAITING);
  expect(await gauge('tenantry_tenant_requests_in_flight')).toBe(0);
  expect(await gauge('tenantry_tenant_requests_waiting')).toBe(0);
  const refused = statuses.filter((status) => status === 429).length;
  console.log(
    `900 at once: ${refused} refused; p99 of the flood ${p99(took.flooding)} ms, of the other tenant's ${calm.length} requests ${p99(took.other)} ms`,
  );
}, 60_000);
