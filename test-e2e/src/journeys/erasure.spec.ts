import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { faces, routes } from '@tenantry/contracts/registry';
import { eventually } from '@tenantry/testing/eventually';
import { temporaryFolder } from '@tenantry/testing/tmp';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { erase } from '../harness/deletion.js';
import { searchFiles, searchPostgres } from '../harness/search.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

const cli = fileURLToPath(new URL('../../../deploy/dist/tenantry.js', import.meta.url));
const dataDir = process.env['TENANTRY_E2E_DATA_DIR'] as string;
const tenantry = (...args: string[]) =>
  spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8', env: { ...process.env, TENANTRY_DATA_DIR: dataDir } });

/** Stands in everything that is planted of the tenants that are erased, and in nothing else. */
const needle = `planted${Math.random().toString(36).slice(2, 12)}`;
const bystanders = `stays${Math.random().toString(36).slice(2, 12)}`;

let api: Api;
let run: RunFile;
let other: Awaited<ReturnType<typeof planted>>;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  ({ api, run } = await sharedSystem());
  folder = await temporaryFolder();
  other = await planted('dedicated', bystanders);
});
afterAll(() => folder?.remove());
const url = (id: string, rest = '') => `${PLATFORM}/tenants/${id}${rest}`;
const ok = async (reply: ReturnType<Api['get']>) => {
  const { status, text } = await reply;
  expect(status, text).toBeLessThan(300);
};

async function connected(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: run.postgresUrl });
  await client.connect();
  return client;
}

async function sql(tenantId: string, ...statements: string[]): Promise<any[]> {
  const { database } = (await api.get(url(tenantId, '/placement'))).body;
  const at = new URL(run.postgresUrl);
  at.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: at.href });
  await client.connect();
  try {
    let rows: any[] = [];
    for (const statement of statements) rows = (await client.query(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}

/** A tenant with something personal wherever people can leave it. */
async function planted(isolation: string, text: string) {
  const headers = { 'user-agent': `${text}-agent`, 'idempotency-key': unique('create') };
  const body = {
    name: unique('Erased'),
    isolation,
    plan: 'professional',
    adminEmail: `${text}@people.example`,
    contactPhone: '+49 30 123456',
  };
  const { tenant } = await activeTenant(api, { ...body, billingEmail: `bill.${text}@people.example` }, headers);
  const { id } = tenant;
  const key = await api.post(url(id, '/api-keys'), { name: `key of ${text}` });
  expect(key.status, key.text).toBe(201);
  const own = api.as(key.body.key);
  await ok(api.put(url(id, '/settings/greeting'), { value: `hello ${text}` }, headers));
  await ok(api.put(url(id, '/settings/smtp.password'), { value: text, encrypted: true }));
  await ok(own.post(`/api/tenants/${id}/usage/increment`, { resource_type: 'users', amount: 1, description: `for ${text}` }, headers));
  await ok(api.post(url(id, '/suspend'), { reason: `said ${text}` }));
  await ok(api.post(url(id, '/reactivate'), { reason: `forgave ${text}` }));
  const subscription = await api.post(`${PLATFORM}/event-subscriptions`, {
    name: `sub ${text}`,
    tenants: [id],
    contexts: ['tenant'],
    from: 'first',
  });
  expect(subscription.status, subscription.text).toBe(201);
  if (isolation !== 'shared') {
    const key = id.replaceAll('-', '');
    await sql(
      id,
      `CREATE TABLE app_${key}.people (name text)`,
      `INSERT INTO app_${key}.people VALUES ('${text}')`,
      `ALTER TABLE app_${key}.people OWNER TO tenantry_owner`,
      `GRANT SELECT ON app_${key}.people TO t_${key}`,
    );
  }
  await mkdir(join(dataDir, 'storage', 'tenants', id, 'docs'), { recursive: true });
  await writeFile(join(dataDir, 'storage', 'tenants', id, 'docs', `${text}.txt`), `a file of ${text}`);
  return { ...tenant, own, subscriptionId: subscription.body.id };
}

describe('an erased tenant', () => {
  it.each(['shared', 'dedicated', 'isolated'])(
    'that was %s is found nowhere any more, and its certificate says so',
    async (isolation) => {
      const tenant = await planted(isolation, needle);
      const before = await eventsOf(api, tenant.id);
      const others = await eventsOf(api, other.id);
      if (isolation !== 'shared')
        expect((await searchPostgres(run.postgresUrl, needle)).length, 'the search finds what is in clear').toBeGreaterThan(0);
      expect((await searchFiles(join(dataDir, 'storage'), needle)).length, 'the search finds files').toBeGreaterThan(0);
      expect((await api.get(url(tenant.id, '/erasure-certificate'))).body.code).toBe('erasure.not_found');

      const operation = await erase(api, tenant, undefined, {
        feedback: { category: 'quality', text: `because ${needle}` },
        winBack: true,
      });
      expect(operation, JSON.stringify(operation)).toMatchObject({ status: 'succeeded' });

      // Nobody gets in, and nobody is told more than that it is gone.
      expect((await api.get(url(tenant.id))).status).toBe(410);
      expect([401, 410]).toContain((await tenant.own.get('/api/tenants/current')).status);
      expect((await api.get(`${PLATFORM}/event-subscriptions/${tenant.subscriptionId}`)).body).toMatchObject({ status: 'revoked' });

      const certificate = await api.get(url(tenant.id, '/erasure-certificate'));
      expect(certificate.status, certificate.text).toBe(200);
      expect(certificate.body.stores.every(({ found }: { found: number }) => found === 0)).toBe(true);
      expect(certificate.body.stores.length).toBeGreaterThan(60);
      for (const { name, method, query, kept, keeps } of certificate.body.stores) {
        expect(query, name).toEqual(expect.any(String));
        // Whatever stays is counted, and it is said why.
        if (method === 'kept' || kept > 0) expect(keeps, name).toEqual(expect.any(String));
      }
      const log = certificate.body.stores.find(({ name }: { name: string }) => name === 'log');
      expect(log.kept).toBeGreaterThanOrEqual(before.length);
      const file = join(folder.path, `${isolation}.json`);
      await writeFile(file, certificate.text);
      const verified = tenantry('verify-certificate', file);
      expect(verified).toMatchObject({ status: 0, stdout: expect.stringContaining(tenant.id) });
      expect(verified.stdout).toContain(`stays (${log.kept}): ${log.keeps}`);
      expect(verified.stdout.match(/looked at: /g)).toHaveLength(certificate.body.stores.length);
      await writeFile(file, certificate.text.replace('"found":0', '"found": 0').replace(tenant.id, other.id));
      expect(tenantry('verify-certificate', file)).toMatchObject({ status: 1, stderr: expect.stringContaining('does not hold') });

      // Personal data: in no row of any database, no file, no message of the broker, no log.
      expect(await searchPostgres(run.postgresUrl, needle)).toEqual([]);
      expect(await searchFiles(dataDir, needle, ['postgres'])).toEqual([]);
      // And no places.
      const key = tenant.id.replaceAll('-', '');
      const places = await sql(
        other.id,
        `SELECT nspname::text AS name FROM pg_namespace WHERE nspname LIKE '%${key}%' UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE '%${key}%'
         UNION ALL SELECT datname FROM pg_database WHERE datname LIKE '%${key}%'`,
      );
      expect(places).toEqual([]);

      // Of what it said when it left, the word and the flag stay, in the event and in numbers.
      const departures = async () => (await api.get(`${PLATFORM}/tenants/metrics`)).body.departures;
      const said = await sql(other.id, `SELECT data FROM log.events WHERE tenant_id = '${tenant.id}' AND type = 'TenantDeletionScheduled'`);
      expect(said[0].data).toMatchObject({ feedback: { category: 'quality', text: { enc: expect.any(String) } }, winBack: true });
      await eventually(async () => (await departures()).byCategory.quality >= 1 && (await departures()).winBack >= 1, {
        what: 'the metrics',
      });

      // The log keeps its positions, and other tenants theirs.
      const rows = await sql(other.id, `SELECT id FROM log.events WHERE tenant_id = '${tenant.id}' ORDER BY position`);
      expect(rows.slice(0, before.length).map(({ id }) => id)).toEqual(before.map(({ id }) => id));
      expect(await eventsOf(api, other.id)).toEqual(others);
      expect((await api.get(url(other.id))).body.adminEmail).toBe(`${bystanders}@people.example`);

      await opened(tenant.id, certificate.body.export.location, isolation);
      // Nothing waits for a tenant that is gone.
      expect((await api.get(`${PLATFORM}/parked?tenantId=${tenant.id}`)).body.items).toEqual([]);
      expect((await api.get(`${PLATFORM}/consumers?tenantId=${tenant.id}`)).body.items).toEqual([]);
    },
    120_000,
  );

  it('is gone at every path of a tenant, but for what is said of its erasure', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Everywhere'), isolation: 'shared' });
    expect((await erase(api, tenant)).status).toBe('succeeded');
    const asked = [...routes, ...faces].filter(({ method, path }) => method === 'GET' && path.includes('/:tenantId'));
    expect(asked.length).toBeGreaterThan(40);
    const named: Record<string, string> = { tenantId: tenant.id, key: 'a', flag: 'beta', from: '1', to: '2' };
    await Promise.all(
      asked.map(async (route) => {
        const filled = route.path.replaceAll(/:(\w+)/g, (_all, name: string) => named[name] ?? tenant.id);
        const query = filled.endsWith('/history/diff') ? '?from=0&to=1' : filled.endsWith('/evaluate') ? '?subject=x' : '';
        const ofErasure = 'ofErased' in route && route.ofErased;
        expect((await api.get(`${filled}${query}`)).status, route.path).toBe(ofErasure ? 200 : 410);
      }),
    );
  });

  it('does not come back with a consumer that lags, an effect that waits, or a rebuild', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Late'), isolation: 'shared', adminEmail: 'who@late.example' });
    const { id } = tenant;
    const admin = await connected();
    const behind = await connected();
    try {
      const at = `FROM identity.checkpoints WHERE consumer = 'service' AND tenant_id = '${id}'`;
      await eventually(async () => (await admin.query(`SELECT ${at}`)).rows[0], { what: 'the consumer to begin' });
      // From now on identity's consumer can't get past where it is with this tenant.
      await behind.query(`BEGIN; SELECT ${at} FOR UPDATE`);
      const made = { name: 'late', tenants: [id], contexts: ['tenant'], from: 'first' };
      const own = await api.post(url(id, '/event-subscriptions'), made);
      expect(own.status, own.text).toBe(201);
      await admin.query(
        `INSERT INTO billing.effects (id, tenant_id, name, payload, causation_id, next_attempt_at)
         VALUES (gen_random_uuid(), $1, 'follow-plan', '{}', gen_random_uuid(), now() + interval '1 day')`,
        [id],
      );
      const operation = await erase(api, tenant);
      expect(operation, JSON.stringify(operation)).toMatchObject({ status: 'succeeded' });
      const { body: certificate } = await api.get(url(id, '/erasure-certificate'));
      const back = async () => {
        const asked = (certificate.stores as { name: string; query: string }[]).filter(({ query }) => query.startsWith('SELECT '));
        expect(asked.length).toBeGreaterThan(60);
        const found: string[] = [];
        for (const { name, query } of asked) if ((await admin.query(query, [id])).rows[0].found !== '0') found.push(name);
        return found;
      };
      expect(await back()).toEqual([]);

      const [{ position }] = (await admin.query(`SELECT position ${at}`)).rows;
      await behind.query('ROLLBACK');
      const now = async () => Number((await admin.query(`SELECT position ${at}`)).rows[0].position);
      await eventually(async () => (await now()) > Number(position), { what: 'the consumer to catch up' });
      expect(await back()).toEqual([]);

      // As after a new version of the projections, which reads the log from its first event on.
      const rebuild = await admin.query(
        `INSERT INTO identity.rebuilds (operation_id, consumer, tenant_id) VALUES (gen_random_uuid(), 'service', $1) RETURNING operation_id`,
        [id],
      );
      const done = await eventually(
        async () => {
          const { rows } = await admin.query(`SELECT events FROM identity.rebuilds WHERE operation_id = $1 AND state = 'succeeded'`, [
            rebuild.rows[0].operation_id,
          ]);
          return rows[0];
        },
        { what: 'the rebuild' },
      );
      expect(Number(done.events)).toBeGreaterThan(1);
      expect(await back()).toEqual([]);
    } finally {
      await Promise.all([admin.end(), behind.end()]);
    }
  }, 60_000);

  it('cannot be erased twice, and its name is free again', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Twice'), isolation: 'shared' });
    const [one, two] = await Promise.all([
      erase(api, tenant),
      eventually(() => erase(api, tenant).catch((error) => error), { what: 'a second deletion' }),
    ]);
    expect(one.status).toBe('succeeded');
    expect(two instanceof Error ? two.message : two.id).toMatch(new RegExp(`409|410|${one.id}`));
    await activeTenant(api, { name: 'Again', slug: tenant.slug, isolation: 'shared' });
  });
});

/** The export holds what was planted, in clear once it is opened with its key, and only then. */
async function opened(tenantId: string, location: string, isolation: string): Promise<void> {
  const exported = await api.get(url(tenantId, '/erasure-export'));
  expect(exported.status, exported.text).toBe(200);
  const sealed = join(dataDir, 'storage', 'tenants', '00000000-0000-0000-0000-000000000000', location);
  const out = join(folder.path, `out-${isolation}`);
  const wrong = tenantry('open-export', sealed, '--key', Buffer.alloc(32).toString('base64'), '--out', out);
  expect(wrong).toMatchObject({ status: 1, stderr: expect.stringContaining('the key is another one') });
  expect(tenantry('open-export', sealed, '--key', exported.body.key, '--out', out)).toMatchObject({ status: 0 });
  const lines = async (name: string) =>
    (await readFile(join(out, name), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const events = await lines('events.jsonl');
  expect(events.map(({ position }) => position)).toEqual(events.map((_, index) => index));
  expect(events[0].data.adminEmail).toBe(`${needle}@people.example`);
  expect((await lines('services/quota_metering.usage_log.jsonl'))[0].description).toBe(`for ${needle}`);
  expect(JSON.stringify(await lines('control-plane/identity_members.jsonl'))).toContain(needle);
  if (isolation !== 'shared') expect(await lines('product/people.jsonl')).toEqual([{ name: needle }]);
  expect((await lines('files.jsonl'))[0].key).toBe(`docs/${needle}.txt`);
  expect(await readFile(join(out, 'files/0'), 'utf8')).toBe(`a file of ${needle}`);
  await rm(out, { recursive: true });
}
