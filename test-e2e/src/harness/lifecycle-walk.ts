import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@tenantry/testing/eventually';
import { expected, fresh, type Model, type Step, transitionNames, wantedStatuses } from '@tenantry/testing/lifecycle-model';
import { expect } from 'vitest';
import type { Random } from '../faults/random.js';
import type { Api, Reply } from './api.js';
import { eventsOf, PLATFORM, unique } from './tenants.js';

type Asked = Exclude<Step, { by: 'itself' }>;
const TRY_MS = 60_000;

/** A tenant that waits for its review, with a trial ahead. */
export async function reviewedTenant(api: Api): Promise<{ id: string; slug: string }> {
  const body = { name: unique('Walking'), isolation: 'shared', activation: 'review', plan: { id: 'pro', trial: true } };
  const created = await api.post(`${PLATFORM}/tenants`, body);
  expect(created.status).toBe(202);
  await eventually(async () => (await api.get(created.body.operation.url)).body.status === 'succeeded', {
    ...{ timeoutMs: TRY_MS, intervalMs: 50, what: 'the tenant to be provisioned' },
  });
  return created.body;
}

function anyStep(random: Random): Asked {
  const by = random.pick(['name', 'name', 'name', 'name', 'status', 'status', 'status', 'delete', 'hold'] as const);
  if (by === 'name') return { by, command: random.pick(transitionNames) };
  if (by === 'status') return { by, status: random.pick(wantedStatuses) };
  if (by === 'hold') return { by, held: random.next() < 0.3 };
  // Never one that erases the tenant: nothing would follow.
  return {
    by,
    ...random.pick([
      { graceDays: undefined, confirm: undefined },
      { graceDays: 7, confirm: 'slug' },
      { graceDays: 0, confirm: undefined },
      { graceDays: 3, confirm: 'wrong' },
    ] as const),
  };
}

/** From one surface or the other, where both have it. */
function request(api: Api, { id, slug }: { id: string; slug: string }, step: Asked, onTenantSurface: boolean, key: string): Promise<Reply> {
  const platform = `${PLATFORM}/tenants/${id}`;
  const headers = { 'idempotency-key': key };
  if (step.by === 'name') return api.post(`${platform}/${step.command}`, { reason: 'walking' }, headers);
  if (step.by === 'status')
    return api.post(`${onTenantSurface ? `/api/tenants/${id}` : platform}/status/${step.status}`, undefined, headers);
  if (step.by === 'hold') return api.put(`${platform}/legal-hold`, { held: step.held }, headers);
  const confirm = step.confirm === 'slug' ? slug : step.confirm;
  return api.raw('DELETE', onTenantSurface ? `/api/tenants/${id}` : platform, {
    headers: { ...headers, authorization: `Bearer ${api.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(onTenantSurface ? { grace_days: step.graceDays, confirm } : { graceDays: step.graceDays, confirm }),
  });
}

/** Until there is an answer that is one: the connection may break, and whoever is asked may die. Always under the same key. */
async function answered(ask: () => Promise<Reply>): Promise<Reply> {
  const endMs = performance.now() + TRY_MS;
  for (;;) {
    const reply = await ask().catch((error: unknown) => {
      if (performance.now() > endMs) throw error;
      return null;
    });
    const passing = reply === null || reply.status >= 500 || reply.body?.code === 'idempotency.in_flight';
    if (!passing) return reply;
    if (performance.now() > endMs) throw new Error(`no answer but ${reply?.status} ${reply?.text}`);
    await sleep(50);
  }
}

/** Asks one thing after the other of a tenant, whatever its state, and holds every answer to the model. `meanwhile` runs beside each request. */
export async function walk(api: Api, random: Random, steps: number, meanwhile: (step: number) => Promise<void> = async () => undefined) {
  const tenant = await reviewedTenant(api);
  let model: Model = { ...fresh, provisioned: true };
  const path: string[] = [];
  const events = async () => (await eventsOf(api, tenant.id)).filter(({ stream }) => stream === 'tenant').length;
  const began = await events();
  let changes = 0;
  for (let number = 0; number < steps; number++) {
    const step = anyStep(random);
    const onTenantSurface = random.next() < 0.5;
    const outcome = expected(model, step);
    path.push(`${model.status}: ${JSON.stringify(step)}`);
    const key = randomUUID();
    const [reply] = await Promise.all([answered(() => request(api, tenant, step, onTenantSurface, key)), meanwhile(number)]);
    const seen = reply.status < 300 ? { status: reply.status } : { refused: reply.body?.code };
    expect(seen, path.join('\n')).toEqual('refused' in outcome ? { refused: outcome.refused } : { status: outcome.answers });
    const next = 'refused' in outcome ? model : outcome.model;
    if (JSON.stringify(next) !== JSON.stringify(model)) changes += 1;
    model = next;
    const { body } = await answered(() => api.get(`${PLATFORM}/tenants/${tenant.id}`));
    expect([body.status, body.legalHold, body.deletion !== null], path.join('\n')).toEqual([
      model.status,
      model.held,
      model.status === 'deleting',
    ]);
  }
  // Each change is one event, however often it was asked for.
  expect((await events()) - began, path.join('\n')).toBe(changes);
}
