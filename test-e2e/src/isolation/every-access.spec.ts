import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { contexts } from '@tenantry/contracts/events';
import { faces, routes } from '@tenantry/contracts/registry';
import type { Face, Route } from '@tenantry/contracts/route';
import { services } from '@tenantry/contracts/route';
import { connectOnce, refusals } from '@tenantry/messaging/broker-refusal';
import { LocalStorage } from '@tenantry/tenancy/local-storage';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import type { Issued } from '../harness/subscriber.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

/**
 * Every way from one tenant to another that the registry of routes, the catalogue of tables and the names of subjects and files know:
 * each is tried, none may succeed. A new route, table or subject is tried without a line here.
 */
const levels = ['shared', 'dedicated', 'isolated'] as const;
type Level = (typeof levels)[number];
interface Known {
  id: string;
  key: string;
  place: { database: string; schema: string; role: string };
  subscription: Issued;
}

let api: Api;
let run: RunFile;
const own = {} as Record<Level, Known>;
let foreign: Known;
/** What an access reached is said here; the others are only counted. */
const tried = new Map<string, string | null>();
/** Each access once: its name, and what it reached (null for nothing). */
const note = (kind: string, access: string, reached: string | null) => tried.set(`${kind} ${access}`, reached);
const reachedOf = (kind: string) => [...tried].filter(([name, reached]) => name.startsWith(`${kind} `) && reached !== null);
const countOf = (kind: string) => [...tried.keys()].filter((name) => name.startsWith(`${kind} `)).length;

async function make(isolation: Level): Promise<Known> {
  const { tenant } = await activeTenant(api, { name: unique('Every'), isolation, adminEmail: 'a@every.example' });
  const at = `${PLATFORM}/tenants/${tenant.id}`;
  const [{ body: key }, { body: place }, { body: subscription }] = await Promise.all([
    api.post(`${at}/api-keys`, { name: 'test' }),
    api.get(`${at}/placement`),
    api.post(`${PLATFORM}/event-subscriptions`, { name: 'test', tenants: [tenant.id], contexts: 'all', from: 'first' }),
  ]);
  return { id: tenant.id, key: key.key, place, subscription };
}

beforeAll(async () => {
  ({ api, run } = await sharedSystem());
  const [shared, dedicated, isolated, other] = await Promise.all([...levels.map(make), make('dedicated')]);
  Object.assign(own, { shared, dedicated, isolated });
  foreign = other as Known;
}, 60_000);
afterAll(() => {
  const kinds = [...new Set([...tried.keys()].map((name) => name.split(' ')[0] as string))];
  console.log(`${tried.size} accesses tried: ${kinds.map((kind) => `${countOf(kind)} ${kind}`).join(', ')}`);
});

/** Real ids of the other tenant, wherever a path has a place for one. */
const idsOf = (of: Known): Record<string, string> => ({ tenantId: of.id, subscriptionId: of.subscription.id });
const fill = (path: string, ids: Record<string, string>) =>
  path.replace(/:(\w+)/g, (_match, name: string) => ids[name] ?? (name.endsWith('Id') ? '00000000-0000-4000-8000-000000000000' : 'x'));
const send = async ({ method }: Route | Face, path: string, headers: Record<string, string>, content: unknown = {}) => {
  const hasBody = method === 'POST' || method === 'PUT';
  const { status } = await api.raw(method, path, {
    headers: { ...headers, ...(hasBody ? { 'content-type': 'application/json' } : {}) },
    body: hasBody ? JSON.stringify(content) : undefined,
  });
  return status;
};
const as = (key: string) => ({ authorization: `Bearer ${key}` });
const ofTenants = faces.filter(({ scope, path }) => scope === 'tenant' && path.includes(':tenantId'));

describe('over the API', () => {
  it.each(levels)('the key of a %s tenant reaches nothing of another', async (level) => {
    for (const face of ofTenants) {
      const status = await send(face, fill(face.path, idsOf(foreign)), as(own[level].key));
      note('api', `${level} ${face.method} ${face.path}`, status === 404 ? null : String(status));
    }
    expect(reachedOf('api')).toEqual([]);
    expect(countOf('api')).toBeGreaterThanOrEqual(ofTenants.length);
  });

  it('nothing of the platform answers to it, whoever is named', async () => {
    for (const route of routes.filter(({ scope }) => scope === 'platform'))
      for (const [whose, named] of Object.entries({ own: own.dedicated, foreign })) {
        const status = await send(route, fill(route.path, idsOf(named)), as(own.dedicated.key));
        note('platform', `${whose} ${route.method} ${route.path}`, status === 403 ? null : String(status));
      }
    expect(reachedOf('platform')).toEqual([]);
  });

  it('another’s resource is not there below its own tenant either', async () => {
    const found = ofTenants.filter(({ path }) => path.includes(':subscriptionId'));
    expect(new Set(found.map(({ method }) => method))).toEqual(new Set(['GET', 'POST', 'DELETE']));
    for (const face of found) {
      const path = fill(face.path, { ...idsOf(foreign), tenantId: own.dedicated.id });
      const status = await send(face, path, as(own.dedicated.key), face.path.endsWith('/replay') ? { from: 'first' } : {});
      note('resource', `${face.method} ${face.path}`, status === 404 ? null : String(status));
    }
    expect(reachedOf('resource')).toEqual([]);
    const { body } = await api.get(`${PLATFORM}/event-subscriptions/${foreign.subscription.id}`);
    expect(body.status).toBe('active');
    const { natsUrl, credentials, inboxPrefix } = foreign.subscription;
    await (await connectOnce(natsUrl, { text: credentials, inboxPrefix })).close();
  });

  it('nobody reaches anything without credentials, or with ones that were made up', async () => {
    const made = `${own.dedicated.key.slice(0, -1)}${own.dedicated.key.endsWith('A') ? 'B' : 'A'}`;
    const credentials: [string, Record<string, string>][] = [
      ['none', {}],
      ['made-up', as(made)],
    ];
    for (const face of ofTenants)
      for (const [what, headers] of credentials) {
        const status = await send(face, fill(face.path, idsOf(foreign)), headers);
        note('anonymous', `${what} ${face.method} ${face.path}`, status === 401 ? null : String(status));
      }
    expect(reachedOf('anonymous')).toEqual([]);
  });
});

const database = (name: string) => run.postgresUrl.replace(/\/[^/]*$/, `/${name}`);
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

describe.each(levels)('in SQL, in the transaction of a %s tenant', (level) => {
  let client: pg.Client;
  beforeAll(async () => {
    client = new pg.Client({ connectionString: database(own[level].place.database) });
    await client.connect();
  });
  afterAll(() => client?.end());

  /** Rows that were seen or changed; the SQLSTATE where it was refused. Nothing stays. */
  const attempt = async (context: string | null, sql: string): Promise<number | string> => {
    const { role, schema } = own[level].place;
    await client.query('BEGIN');
    try {
      await client.query(`SET LOCAL ROLE ${quoted(role)}`);
      await client.query(`SET LOCAL search_path = ${quoted(schema)}`);
      if (context !== null) await client.query("SELECT set_config('app.tenant_id', $1, true)", [context]);
      return (await client.query(sql)).rowCount ?? 0;
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      await client.query('ROLLBACK');
    }
  };
  const rows = (outcome: number | string) => (typeof outcome === 'number' && outcome > 0 ? `${outcome} rows` : null);

  it('no table shows or takes rows of another tenant', async () => {
    const { schema } = own[level].place;
    const { rows: tables } = await client.query('SELECT tablename AS name FROM pg_tables WHERE schemaname = $1', [schema]);
    expect(tables.length).toBeGreaterThan(4);
    for (const { name } of tables) {
      const table = quoted(name);
      const access = (what: string) => `${level} ${name}: ${what}`;
      const unknown = await attempt(null, `SELECT * FROM ${table}`);
      note('table', access('read without a context'), typeof unknown === 'string' ? null : 'it was answered');
      const seen =
        level === 'shared'
          ? await attempt(own[level].id, `SELECT * FROM ${table} WHERE tenant_id <> '${own[level].id}'`)
          : await attempt(foreign.id, `SELECT * FROM ${table}`);
      note('table', access('read rows of others'), rows(seen));
      const written = await attempt(own[level].id, `INSERT INTO ${table} (tenant_id) VALUES ('${foreign.id}')`);
      note('table', access('write a row of another'), written === '42501' ? null : String(written));
      const given = await attempt(own[level].id, `UPDATE ${table} SET tenant_id = '${foreign.id}'`);
      note('table', access('give a row to another'), rows(given));
      const deleted = await attempt(own[level].id, `DELETE FROM ${table} WHERE tenant_id = '${foreign.id}'`);
      note('table', access('delete rows of another'), rows(deleted));
    }
    expect(reachedOf('table')).toEqual([]);
  });

  it('no table of the platform, or of another tenant, can be read', async () => {
    const control = new pg.Client({ connectionString: database('tenantry') });
    await control.connect();
    const { rows: tables } = await control.query(
      `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition AND n.nspname NOT IN ('information_schema', $1)
         AND (n.nspname !~ '^(t_|app_|pg_|shared)' OR n.nspname = $2)`,
      [own[level].place.schema, foreign.place.schema],
    );
    await control.end();
    expect(tables.length).toBeGreaterThan(20);
    for (const { schema, name } of tables) {
      // Its own database has a gate too, with its own row and no other.
      const gate = level === 'isolated' && `${schema}.${name}` === 'tenancy.tenant_gate';
      const others = gate ? `WHERE tenant_id <> '${own[level].id}'` : '';
      const outcome = await attempt(own[level].id, `SELECT * FROM ${quoted(schema)}.${quoted(name)} ${others} LIMIT 1`);
      const shown = schema === foreign.place.schema ? 'another’s schema' : schema;
      note('schema', `${level} ${shown}.${name}`, typeof outcome === 'string' || (gate && outcome === 0) ? null : 'it was answered');
    }
    expect(reachedOf('schema')).toEqual([]);
  });
});

describe.each(levels)('in SQL, as a %s tenant', (level) => {
  it('no function of the platform can be called', async () => {
    const { place, id } = own[level];
    const [control, client] = ['tenantry', place.database].map((name) => new pg.Client({ connectionString: database(name) }));
    await Promise.all([control!.connect(), client!.connect()]);
    try {
      const { rows: functions } = await control!.query(
        `SELECT n.nspname AS schema, p.proname AS name, ARRAY(SELECT format_type(of, NULL) FROM unnest(p.proargtypes) of) AS arguments
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname !~ '^(t_|app_|pg_|shared)' AND n.nspname <> 'information_schema' AND p.prorettype <> 'trigger'::regtype`,
      );
      expect(functions.length).toBeGreaterThan(5);
      for (const { schema, name, arguments: types } of functions) {
        // The way into its own database, which its login goes by.
        if (level === 'isolated' && ['enter_tenant', 'tenant_lock'].includes(name)) continue;
        await client!.query(`BEGIN; SET LOCAL ROLE "${place.role}"; SET LOCAL app.tenant_id = '${id}'`);
        const nothing = types.map((type: string) => `NULL::${type}`).join(', ');
        const outcome = await client!.query(`SELECT ${quoted(schema)}.${quoted(name)}(${nothing})`).then(
          () => 'it was called',
          (error: { code?: string }) => (['42501', '3F000', '42883'].includes(error.code ?? '') ? null : `it ran into ${error.code}`),
        );
        await client!.query('ROLLBACK');
        note('function', `${level} ${schema}.${name}(${types})`, outcome);
      }
    } finally {
      await Promise.all([control!.end(), client!.end()]);
    }
    expect(reachedOf('function')).toEqual([]);
  });
});

describe('on the bus', () => {
  it('the credentials of a tenant’s event subscription reach no other subject', async () => {
    const mine = own.dedicated.subscription;
    const theirs = foreign.subscription.consumers[0]?.name as string;
    const connection = await connectOnce(mine.natsUrl, { text: mine.credentials, inboxPrefix: mine.inboxPrefix });
    try {
      const publish = [
        ...routes.map(({ owner, name }) => `rpc.${owner}.gateway.${name}`),
        ...contexts.map((context) => `tenantry.events.${foreign.id}.${context}.Forged`),
        ...['INFO', 'PURGE', 'DELETE', 'MSG.GET', 'MSG.DELETE'].map((what) => `$JS.API.STREAM.${what}.TENANTRY_EVENTS`),
        ...['MSG.NEXT', 'INFO', 'DELETE'].map((what) => `$JS.API.CONSUMER.${what}.TENANTRY_EVENTS.${theirs}`),
        `$JS.ACK.TENANTRY_EVENTS.${theirs}.1.1.1.1.0`,
        '$JS.API.CONSUMER.LIST.TENANTRY_EVENTS',
        `${foreign.subscription.inboxPrefix}.x`,
        'tenantry.nudge',
      ];
      const subscribe = [
        ...contexts.flatMap((context) => [`tenantry.events.${foreign.id}.${context}.>`, `tenantry.events.*.${context}.>`]),
        ...services.flatMap((service) => [`rpc.${service}.>`, `_INBOX_${service}.>`]),
        `${foreign.subscription.inboxPrefix}.>`,
        ...['>', 'tenantry.>', 'rpc.>', '$JS.>', '$SYS.>', '_INBOX.>'],
      ];
      const outcomes = await refusals(
        connection,
        [
          ...publish.map((subject) => ({ what: 'publish' as const, subject })),
          ...subscribe.map((subject) => ({ what: 'subscribe' as const, subject })),
        ],
        200,
      );
      for (const { what, subject, refused } of outcomes) note('subject', `${what} ${subject}`, refused ? null : 'the broker let it');
    } finally {
      await connection.close();
    }
    expect(reachedOf('subject')).toEqual([]);
  });
});

describe('in the files', () => {
  it('no name leads to another tenant’s', async () => {
    const storage = new LocalStorage(join(process.env['TENANTRY_E2E_DATA_DIR'] as string, 'storage'));
    const secret = unique('secret');
    await storage.put(foreign.id, 'reports/secret.txt', Readable.from([Buffer.from(secret)]));
    const file = `${foreign.id}/reports/secret.txt`;
    const names = [
      'reports/secret.txt',
      file,
      ...['..', './..', '../../tenants', 'x/../..', '/', '//', '%2e%2e', '..\\', '.../..', '..\0', '~', 'file://'].map(
        (way) => `${way}/${file}`,
      ),
      `/tenants/${file}`,
      file.replaceAll('/', '\\'),
      `..\\..\\${file}`,
    ];
    const reached = (content: Buffer | null) => (content?.includes(secret) ? 'it was read' : null);
    const refusal = (error: unknown) => {
      if ((error as { code?: string }).code !== 'request.invalid') throw error;
      return null;
    };
    for (const name of names) {
      const id = own.dedicated.id;
      note('file', `get ${JSON.stringify(name)}`, await storage.get(id, name).then(reached, refusal));
      const read = await storage.read(id, name).then((stream) => (stream ? buffer(stream) : null), refusal);
      note('file', `read ${JSON.stringify(name)}`, reached(read));
      await storage.delete(id, name).catch(refusal);
      const still = (await storage.get(foreign.id, 'reports/secret.txt'))?.toString() === secret;
      note('file', `delete ${JSON.stringify(name)}`, still ? null : 'it is gone');
    }
    for await (const { key } of storage.list(own.dedicated.id))
      note('file', `list ${key}`, key.includes('secret') ? 'it was listed' : null);
    await storage.delete(foreign.id, 'reports/secret.txt');
    expect(reachedOf('file')).toEqual([]);
  });
});

it('at least 200 distinct accesses were tried, and none succeeded', () => {
  expect(tried.size).toBeGreaterThanOrEqual(200);
  for (const kind of ['api', 'platform', 'resource', 'anonymous', 'table', 'schema', 'function', 'subject', 'file'])
    expect(countOf(kind), kind).toBeGreaterThan(0);
  expect([...tried].filter(([, reached]) => reached !== null)).toEqual([]);
});
