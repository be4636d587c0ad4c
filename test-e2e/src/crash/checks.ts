import { readFile } from 'node:fs/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { expect } from 'vitest';
import type { System } from '../harness/system.js';
import { eventsOf, PLATFORM, settled } from '../harness/tenants.js';

/** Each of these happens once in a tenant's life, whatever was killed meanwhile. */
const onceEach = [
  'TenantRegistered',
  'TenantPlaced',
  'SecurityInitialized',
  'DomainClaimed',
  'QuotasAssigned',
  'SubscriptionOpened',
  'SettingsInitialized',
  'MemberInvited',
  'InvitationSent',
  'TenantProvisioned',
  'TenantActivated',
];

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** A creation that goes on whatever is killed: the same key until it gets its answer. */
export async function createThrough(system: Pick<System, 'api'>, body: Record<string, unknown>, key: string, timeoutMs = 60_000) {
  return eventually(
    async () => {
      const reply = await system.api.post(`${PLATFORM}/tenants`, body, { 'idempotency-key': key });
      if (reply.status !== 202) throw new Error(`${reply.status} ${reply.text}`);
      return reply.body;
    },
    { timeoutMs, intervalMs: 250, what: 'the creation to be accepted' },
  );
}

/** The tenant is active or cleanly compensated, and nothing of it is doubled or half there. */
export async function checkWhole(system: Pick<System, 'api' | 'run'>, tenantId: string, timeoutMs: number): Promise<string> {
  const { api } = system;
  const tenant = await settled(api, tenantId, timeoutMs);
  const run = await system.run();
  const events = await eventually(() => eventsOf(api, tenantId), { timeoutMs, what: 'the log to be read' });
  expect(events.map((event) => event.position)).toEqual(events.map((_, position) => position));
  const count = (type: string) => events.filter((event) => event.type === type).length;
  const active = tenant.status === 'active';
  for (const type of onceEach) {
    if (type === 'InvitationSent') continue; // follows by itself, below
    expect(count(type), type).toBeLessThanOrEqual(1);
    if (active) expect(count(type), type).toBe(1);
  }
  const steps = events.filter((event) => event.type === 'ProvisioningStepCompleted').map((event) => event.data.step);
  expect(new Set(steps).size).toBe(steps.length);

  const admin = new pg.Pool({ connectionString: run.postgresUrl.replace(/\/[^/]*$/, '/tenantry'), max: 1 });
  admin.on('error', () => undefined); // Postgres may be one of the victims; the query below tells
  try {
    const key = tenantId.replaceAll('-', '');
    // PostgreSQL may be one of the victims, and on its way back.
    const rows = async (sql: string) =>
      (await eventually(() => admin.query(sql, [`%${key}%`]), { timeoutMs: 30_000, what: 'PostgreSQL to answer' })).rowCount;
    const there = active && tenant.isolation !== 'shared' ? 1 : 0;
    expect(await rows('SELECT 1 FROM pg_roles WHERE rolname LIKE $1'), 'roles').toBe(there);
    if (tenant.isolation === 'dedicated')
      expect(await rows("SELECT 1 FROM pg_namespace WHERE nspname LIKE $1 AND nspname LIKE 't\\_%'"), 'schemas').toBe(there);
    if (tenant.isolation === 'isolated') expect(await rows('SELECT 1 FROM pg_database WHERE datname LIKE $1'), 'databases').toBe(there);

    if (active) {
      await eventually(async () => (await eventsOf(api, tenantId)).some((event) => event.type === 'InvitationSent'), {
        timeoutMs,
        what: 'the invitation to be sent',
      });
      const outbox = await eventually(async () => (await (await fetch(run.mailOutboxUrl)).json()) as any[], {
        timeoutMs,
        what: 'the outbox to answer',
      });
      const mails = outbox.filter((mail) => mail.tenantId === tenantId);
      expect(mails, 'mails').toHaveLength(1);
      // The last step is recorded just after the tenant is active: what is compared is what is there now.
      const all = await eventually(
        async () => {
          const [log, audit] = await Promise.all([
            eventsOf(api, tenantId),
            api.get(`${PLATFORM}/tenants/${tenantId}/audit-logs?limit=200`),
          ]);
          return audit.body?.items?.length === log.length && log;
        },
        { timeoutMs, what: 'the audit trail to hold every event once' },
      );
      expect(all.filter((event) => event.type === 'InvitationSent')).toHaveLength(1);
      await checkBus(run, tenantId, all.length, timeoutMs);
    }
  } finally {
    await admin.end();
  }
  return tenant.status;
}

/** Every position is on the bus; a repeat has the same id, so that a subscriber can tell. */
async function checkBus(
  run: { natsUrl: string; natsCredsFile: string },
  tenantId: string,
  expected: number,
  timeoutMs: number,
): Promise<void> {
  const connection = await connect({ servers: run.natsUrl, authenticator: credsAuthenticator(await readFile(run.natsCredsFile)) });
  try {
    const manager = await jetstreamManager(connection);
    await eventually(
      async () => {
        const { state } = await manager.streams.info('TENANTRY_EVENTS', { subjects_filter: `tenantry.events.${tenantId}.>` });
        const onBus = Object.values((state.subjects ?? {}) as Record<string, number>).reduce((sum, n) => sum + n, 0);
        if (onBus < expected) throw new Error(`${onBus} of ${expected} are on the bus`);
        return true;
      },
      { timeoutMs, what: 'every event on the bus' },
    ).catch((error) => {
      throw new Error(message(error));
    });
  } finally {
    await connection.close();
  }
}
