import { tenantKey } from '@tenantry/contracts/ids';
import { tenantDatabase } from '@tenantry/sdk/tenant-database';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { type Api, api as apiOf } from './api.js';
import type { RunFile } from './system.js';
import { PLATFORM } from './tenants.js';

const table = (role: string) => `
  CREATE TABLE notes (tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, id bigint NOT NULL, text text NOT NULL,
    times int NOT NULL DEFAULT 1, PRIMARY KEY (tenant_id, id));
  ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY tenant ON notes USING (tenant_id = current_setting('app.tenant_id')::uuid);
  GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO "${role}";`;

/** A product with one table, of the tenant's own and of the shared schema, and a login of its own. */
export async function product(run: RunFile, tenantId: string, login = 'e2e_product') {
  const at = (database: string, user?: string) => {
    const url = new URL(run.postgresUrl);
    url.pathname = `/${database}`;
    if (user) [url.username, url.password] = [user, user];
    return url.href;
  };
  const admin = new pg.Client({ connectionString: at('tenantry') });
  await admin.connect();
  const key = tenantKey(tenantId);
  await admin.query(
    `DO $$ BEGIN CREATE ROLE ${login} LOGIN PASSWORD '${login}' IN ROLE tenantry_product; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
  );
  for (const [schema, role] of [
    [`app_${key}`, `t_${key}`],
    ['app_shared', 'tenantry_shared'],
  ] as const) {
    const { rowCount } = await admin.query(`SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'notes'`, [schema]);
    if (rowCount === 0)
      await admin.query(`BEGIN; SET LOCAL ROLE tenantry_owner; SET LOCAL search_path = "${schema}"; ${table(role)} COMMIT`);
  }
  await admin.end();
  return tenantDatabase({ url: at('tenantry', login), api: { url: run.gatewayUrl, apiKey: run.adminApiKey }, maxConnections: 6 });
}

/** Takes the product's table out of the shared schema again. */
export async function removeProduct(run: RunFile): Promise<void> {
  const url = new URL(run.postgresUrl);
  url.pathname = '/tenantry';
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  await admin.query('DROP TABLE IF EXISTS app_shared.notes');
  await admin.end();
}

export interface Written {
  /** How often each row was written, by what was answered. */
  notes: Map<number, number>;
  usage: number;
  writes: number;
  longestMs: number;
  /** The longest time in which none of the writes to the database came through. */
  pauseMs: number;
  errors: unknown[];
}

/** More than that are in flight only where the machine can't keep up with the rate: then it is not kept. */
const mostInFlight = 60;

/** Writes at a rate, whatever each takes: three of four by `withTenant`, the rest by the API. */
export function writer(
  database: Awaited<ReturnType<typeof product>>,
  gatewayUrl: () => string,
  key: string,
  tenantId: string,
  perSecond: number,
) {
  const done: Written = { notes: new Map(), usage: 0, writes: 0, longestMs: 0, pauseMs: 0, errors: [] };
  const going = new Set<Promise<void>>();
  let last: number | null = null;
  const cameThrough = () => {
    const now = performance.now();
    if (last !== null) done.pauseMs = Math.max(done.pauseMs, now - last);
    last = now;
  };
  const timed = (work: () => Promise<void>) => {
    const begun = performance.now();
    const running = work()
      .catch((error: unknown) => void done.errors.push(error))
      .finally(() => {
        done.writes += 1;
        done.longestMs = Math.max(done.longestMs, performance.now() - begun);
        going.delete(running);
      });
    going.add(running);
  };
  let next = 1;
  const write = (): void => {
    const id = next++;
    if (id % 4 === 0) {
      timed(async () => {
        const answer = await apiOf(gatewayUrl(), key).post(
          `/api/tenants/${tenantId}/usage/increment`,
          { resource_type: 'api_calls', amount: 1, description: 'write' },
          { 'idempotency-key': `write-${id}` },
        );
        if (answer.status !== 200) throw new Error(`usage/increment answered ${answer.status} ${answer.text}`);
        done.usage += 1;
      });
      return;
    }
    const again = id % 5 === 0 && done.notes.has(id - 3) ? id - 3 : null;
    timed(async () => {
      await database.withTenant(tenantId, ({ client }) =>
        again === null
          ? client.query('INSERT INTO notes (id, text) VALUES ($1, $2)', [id, `note ${id}`])
          : client.query('UPDATE notes SET times = times + 1 WHERE id = $1', [again]),
      );
      cameThrough();
      done.notes.set(again ?? id, (done.notes.get(again ?? id) ?? 0) + 1);
    });
  };
  const begun = performance.now();
  let begunWrites = 0;
  const timer = setInterval(() => {
    for (const due = ((performance.now() - begun) * perSecond) / 1_000; begunWrites < due; begunWrites++)
      if (going.size < mostInFlight) write();
  }, 5);
  return {
    done,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(going);
    },
  };
}

/** What is there at the end. */
export const notesOf = (database: Awaited<ReturnType<typeof product>>, tenantId: string) =>
  database.withTenant(tenantId, async ({ client }) => {
    const { rows } = await client.query<{ id: string; times: number }>('SELECT id, times FROM notes');
    return new Map(rows.map(({ id, times }) => [Number(id), times]));
  });

export const operationEnded = (on: Api, id: string, timeoutMs = 60_000) =>
  eventually(
    async () => {
      const { body } = await on.get(`${PLATFORM}/operations/${id}`);
      return body?.finishedAt ? body : null;
    },
    { timeoutMs, intervalMs: 50, what: `operation ${id} to end` },
  );
