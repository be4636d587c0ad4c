/**
 * A campaign that adds a column and a table with an index to many dedicated tenants, through the whole system (request to ended
 * operation, row-level security, rights and ledger included), against references in the same run on the same server and schemas:
 *   ddl                 the bare statements in one server-side procedure that commits after each tenant
 *   session-per-tenant  a session per tenant that walks through the history of migrations and runs what is missing
 * Then another campaign that is killed halfway. Last line: one JSON object.
 * TENANTRY_BENCH_TENANTS changes the number (2,000), TENANTRY_BENCH_CONCURRENCY the campaign's sessions (4).
 */

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppSessions } from '@tenantry/tenancy/app-sessions';
import { placementFor } from '@tenantry/tenancy/names';
import type { Placement } from '@tenantry/tenancy/placement';
import { createPlace } from '@tenantry/tenancy/provision-schema';
import pg from 'pg';
import { type System, startSystem } from '../harness/system.js';
import { PLATFORM } from '../harness/tenants.js';

const TENANTS = Number(process.env['TENANTRY_BENCH_TENANTS'] ?? 2_000);
const CONCURRENCY = Number(process.env['TENANTRY_BENCH_CONCURRENCY'] ?? 4);
/** Versions that every tenant has before the measured one. */
const HISTORY = 10;
/** A session per tenant is slow: a sample gives its rate. */
const SESSIONS = Math.min(TENANTS, 300);
const BLUEPRINT = 'bench';

const base = 'CREATE TABLE orders (id bigint PRIMARY KEY, body text, placed_at timestamptz)';
const statements = (name: string) =>
  `ALTER TABLE orders ADD COLUMN ${name} text; CREATE TABLE ${name}_items (id bigint PRIMARY KEY, order_id bigint NOT NULL, body text); CREATE INDEX ${name}_by_order ON ${name}_items (order_id)`;
const round = (value: number, digits = 1) => Math.round(value * 10 ** digits) / 10 ** digits;
const rssOf = async (pid: number) =>
  round(Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''))?.[1] ?? 0) / 1024);

interface Memory {
  provisioningMb: number;
  backendsMb: number;
}
async function memory(system: System, admin: pg.Pool): Promise<Memory> {
  const { processes } = await system.run();
  const { rows } = await admin.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'tenantry-provisioning-schemas'`,
  );
  const backends = await Promise.all(rows.map(({ pid }) => rssOf(pid)));
  const provisioning = processes.find(({ name }) => name === 'provisioning');
  return {
    provisioningMb: provisioning ? await rssOf(provisioning.pid) : 0,
    backendsMb: round(backends.reduce((sum, mb) => sum + mb, 0)),
  };
}

async function ok(reply: Promise<{ status: number; text: string; body: any; headers: Headers }>) {
  const { status, text, body, headers } = await reply;
  if (status >= 300) throw new Error(`${status}: ${text}`);
  return { body, headers };
}

async function campaign(
  system: System,
  admin: pg.Pool,
  version: number,
  meanwhile: (succeeded: number) => Promise<void> = async () => undefined,
) {
  const begun = Date.now();
  const { headers } = await ok(
    system.api.post(`${PLATFORM}/blueprints/${BLUEPRINT}/campaigns`, { toVersion: version, concurrency: CONCURRENCY }),
  );
  const seen: Memory[] = [];
  for (;;) {
    const { body, status } = await system.api.get(headers.get('location') as string).catch(() => ({ body: null, status: 0 }));
    if (status === 200) {
      if (!['pending', 'running'].includes(body.status)) {
        if (body.status !== 'succeeded' || body.counts.succeeded !== TENANTS) throw new Error(JSON.stringify(body));
        // Its end, not when it was seen here: both are clocks of one machine.
        const seconds = (Date.parse(body.finishedAt) - begun) / 1000;
        return { seconds, rate: TENANTS / seconds, seen };
      }
      await meanwhile(body.counts.succeeded);
      seen.push(await memory(system, admin));
    }
    await sleep(250);
  }
}

/** The same statements, one after the other on the server. */
async function bareDdl(admin: pg.Pool, places: Placement[], name: string): Promise<number> {
  const body = statements(name)
    .split('; ')
    .map((sql) => `EXECUTE format(${pg.escapeLiteral(sql.replace(/(ALTER TABLE |CREATE TABLE | ON )(\w+)/, '$1%I.$2'))}, s);`)
    .join('\n');
  await admin.query(
    `CREATE OR REPLACE PROCEDURE bare_ddl(schemas text[]) LANGUAGE plpgsql AS $$ DECLARE s text; BEGIN
       FOREACH s IN ARRAY schemas LOOP ${body} COMMIT; END LOOP; END $$`,
  );
  const begun = performance.now();
  await admin.query('CALL bare_ddl($1)', [places.map(({ appSchema }) => appSchema)]);
  return (places.length * 1000) / (performance.now() - begun);
}

async function sessionPerTenant(url: string, places: Placement[], history: string[], missing: string): Promise<number> {
  const begun = performance.now();
  for (const { appSchema } of places) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(`SET search_path = ${appSchema}`);
    await client.query('CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())');
    for (const [index, sql] of [...history, missing].entries()) {
      await client.query('BEGIN');
      // What a campaign's tenants have already, counts as applied: only the last one is run.
      const { rowCount } = await client.query('SELECT FROM migrations WHERE name = $1', [String(index)]);
      if (rowCount === 0 && index === history.length) await client.query(sql);
      if (rowCount === 0) await client.query('INSERT INTO migrations (name) VALUES ($1)', [String(index)]);
      await client.query('COMMIT');
    }
    await client.end();
  }
  return (places.length * 1000) / (performance.now() - begun);
}

const system = await startSystem();
try {
  const url = (await system.run()).postgresUrl.replace(/\/[^/]*$/, '/tenantry');
  const admin = new pg.Pool({ connectionString: url, max: 4 });
  const { rows: server } = await admin.query<{ version: string; sync: string }>(
    `SELECT current_setting('server_version') AS version, current_setting('synchronous_commit') AS sync`,
  );
  const publish = (version: number, sql: string) => ok(system.api.post(`${PLATFORM}/blueprints/${BLUEPRINT}/versions`, { version, sql }));
  await ok(system.api.put(`${PLATFORM}/blueprints/${BLUEPRINT}`, { supportsShared: false }));
  const history = [base, ...Array.from({ length: HISTORY - 1 }, (_, index) => `ALTER TABLE orders ADD COLUMN earlier_${index} integer`)];
  for (const [index, sql] of history.entries()) await publish(index + 1, sql);

  console.log(`${TENANTS} dedicated tenants are made`);
  const keys = { encrypt: () => Promise.reject(new Error('no keys')), reveal: () => Promise.reject(new Error('no keys')) };
  const app = new AppSessions({ pool: admin, keys }, url);
  const places = Array.from({ length: TENANTS }, () => placementFor(randomUUID(), 'dedicated'));
  let next = 0;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (next < places.length) await createPlace({ pool: admin, url, keys, app }, places[next++]!);
    }),
  );
  await app.close();
  await admin.query('CHECKPOINT');

  // Before and after, so that neither gains from the order.
  const bareBefore = await bareDdl(admin, places, 'bare_one');
  await publish(HISTORY + 1, statements('ours'));
  const idle = await memory(system, admin);
  const ours = await campaign(system, admin, HISTORY + 1);
  const bareAfter = await bareDdl(admin, places, 'bare_two');
  const bare = (bareBefore + bareAfter) / 2;
  const flat = {
    idle,
    atQuarter: ours.seen[Math.floor(ours.seen.length / 4)] ?? idle,
    atEnd: ours.seen.at(-1) ?? idle,
    most: {
      provisioningMb: Math.max(...ours.seen.map((at) => at.provisioningMb)),
      backendsMb: Math.max(...ours.seen.map((at) => at.backendsMb)),
    },
  };
  console.log(
    `campaign: ${round(ours.rate)}/s with ${CONCURRENCY} sessions, bare DDL: ${round(bareBefore)}/s before, ${round(bareAfter)}/s after`,
  );
  console.log('memory:', JSON.stringify(flat));

  const sessions = await sessionPerTenant(url, places.slice(0, SESSIONS), history, statements('sessions'));
  console.log(`session per tenant (${SESSIONS} of them): ${round(sessions)}/s`);

  await publish(HISTORY + 2, statements('killed'));
  let killedAt: number | null = null;
  const killed = await campaign(system, admin, HISTORY + 2, async (succeeded) => {
    if (killedAt !== null || succeeded < TENANTS / 2) return;
    killedAt = succeeded;
    const { processes } = await system.run();
    process.kill(processes.find(({ name }) => name === 'provisioning')!.pid, 'SIGKILL');
  });
  const { rows: applied } = await admin.query<{ ledger: number; schemas: number; tables: number }>(
    `SELECT (SELECT count(*)::int FROM tenancy.app_ledger WHERE blueprint = $1 AND version = $2) AS ledger,
            (SELECT count(DISTINCT app_schema)::int FROM tenancy.app_ledger WHERE blueprint = $1 AND version = $2) AS schemas,
            (SELECT count(*)::int FROM pg_class WHERE relname = 'killed_items' AND relrowsecurity AND relforcerowsecurity) AS tables`,
    [BLUEPRINT, HISTORY + 2],
  );
  const counted = applied[0]!;
  if (killedAt === null || counted.ledger !== TENANTS || counted.schemas !== TENANTS || counted.tables !== TENANTS)
    throw new Error(`Killed at ${killedAt}, and then not each tenant once: ${JSON.stringify(counted)}`);
  console.log(`killed at ${killedAt}, resumed: each of ${TENANTS} once, after ${round(killed.seconds)} s`);
  await admin.end();

  const references = { ddl: round(bare), 'session-per-tenant': round(sessions) };
  const ratios = { ddl: round(ours.rate / bare, 3), 'session-per-tenant': round(ours.rate / sessions, 3) };
  console.log(
    JSON.stringify({
      bench: 'migrations',
      machine: {
        cpus: cpus().length,
        memory: totalmem(),
        node: process.version,
        postgres: server[0]!.version,
        nats: process.env['TENANTRY_NATS_VERSION'] ?? 'from PATH',
      },
      ours: round(ours.rate),
      reference: references.ddl,
      ratio: ratios.ddl,
      references,
      ratios,
      p50Ms: null,
      p99Ms: null,
      results: {
        campaign: {
          ours: round(ours.rate),
          references,
          ratios,
          tenants: TENANTS,
          concurrency: CONCURRENCY,
          synchronousCommit: server[0]!.sync,
          bareBefore: round(bareBefore),
          bareAfter: round(bareAfter),
          memory: flat,
        },
        killed: { ours: round(killed.rate), killedAt, seconds: round(killed.seconds), ...counted },
      },
    }),
  );
} finally {
  await system.stop();
}
