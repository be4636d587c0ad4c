import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { expect } from 'vitest';
import type { System } from '../harness/system.js';
import { checkCommands, checkLogs } from './log-checks.js';
import { untilReady } from './processes.js';
import { checkReadModels, untilSettled } from './read-models.js';
import { Subscriber } from './subscriber.js';
import type { Sent } from './workload.js';

type Logs = Awaited<ReturnType<typeof checkLogs>>;

/** A superuser's pool on the control plane, which outlives restarts of the server. */
export function adminPool(postgresUrl: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: postgresUrl, max: 2 });
  pool.on('error', () => undefined); // the server is a victim; the next query tells
  return pool;
}

/** Has each position of each log once, each the event that the log has there. `rewritten`: positions that had another event before a restore. */
export async function checkSubscriber(
  subscriber: Subscriber,
  logs: Logs,
  what: string,
  rewritten: boolean,
  timeoutMs: number,
): Promise<void> {
  await eventually(
    () => {
      for (const [tenantId, events] of logs) {
        const taken = new Set((subscriber.taken.get(tenantId) ?? []).map(({ position, eventId }) => `${position} ${eventId}`));
        const missing = events.filter(({ position, id }) => !taken.has(`${position} ${id}`));
        if (missing.length > 0)
          throw new Error(
            `${missing.length} of ${events.length} of ${tenantId} are missing, first ${missing[0]?.position} ${missing[0]?.type}`,
          );
      }
      return true;
    },
    { timeoutMs, intervalMs: 250, what: `${what} to have every event` },
  );
  if (rewritten) return;
  for (const [tenantId, events] of logs) {
    const taken = (subscriber.taken.get(tenantId) ?? []).map(({ position }) => position).sort((a, b) => a - b);
    expect(taken, `${what}: positions of ${tenantId}`).toEqual(events.map((_, position) => position));
  }
}

/** One mail per invitation, one outcome per effect, whatever was killed: the provider has seen one key for each. */
async function checkEffects(admin: pg.Pool, logs: Logs): Promise<void> {
  const { rows: mails } = await admin.query<{ tenant: string; count: string }>(
    'SELECT tenant_id AS tenant, count(*) AS count FROM identity.mail_outbox GROUP BY 1',
  );
  const sent = new Map(mails.map(({ tenant, count }) => [tenant, Number(count)]));
  for (const [tenantId, events] of logs) {
    const count = (type: string) => events.filter((event) => event.type === type).length;
    expect(sent.get(tenantId) ?? 0, `mails to ${tenantId}`).toBe(count('MemberInvited'));
    expect(count('InvitationSent'), `invitations of ${tenantId}`).toBe(count('MemberInvited'));
    // A change that is overtaken by the next may be skipped; none is followed twice.
    expect(count('SubscriptionPlanChanged'), `plans followed by ${tenantId}`).toBeLessThanOrEqual(count('TenantPlanChanged'));
    for (const type of ['TenantRegistered', 'TenantActivated', 'TenantProvisioned', 'SubscriptionOpened', 'QuotasAssigned'])
      expect(count(type), `${type} of ${tenantId}`).toBeLessThanOrEqual(1);
  }
}

export interface Checked {
  tenants: number;
  events: number;
  tables: number;
  rows: number;
}

/** What has to hold after every fault, whatever it was. */
export async function checkEverything(
  system: System,
  admin: pg.Pool,
  {
    sent,
    subscriber,
    rewritten = false,
    timeoutMs = 120_000,
  }: { sent: Sent[]; subscriber?: Subscriber; rewritten?: boolean; timeoutMs?: number },
): Promise<Checked> {
  await untilReady(system, timeoutMs);
  await untilSettled(admin, timeoutMs);
  const logs = await checkLogs(admin);
  await checkCommands(admin, sent, logs);
  await checkEffects(admin, logs);
  if (subscriber) await checkSubscriber(subscriber, logs, 'who was there all the time', rewritten, timeoutMs);
  // Who comes now finds all of it on the stream.
  const late = new Subscriber(await system.run());
  await late.start();
  try {
    await checkSubscriber(late, logs, 'who comes afterwards', rewritten, timeoutMs);
  } finally {
    await late.stop();
  }
  const { tables, rows } = await checkReadModels(system, admin, timeoutMs);
  // The replay has repeated no effect and written nothing.
  const replayed = await checkLogs(admin);
  expect([...replayed].map(([tenantId, events]) => [tenantId, events.length])).toEqual(
    [...logs].map(([tenantId, events]) => [tenantId, events.length]),
  );
  await checkEffects(admin, replayed);
  return { tenants: logs.size - 2, events: [...logs.values()].reduce((sum, { length }) => sum + length, 0), tables, rows };
}
