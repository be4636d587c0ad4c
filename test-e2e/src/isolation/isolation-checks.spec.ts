import { type PublicJwk, signatureFault, signedText } from '@tenantry/crypto/signature';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let run: RunFile;
let tenants: { id: string; place: { database: string; schema: string; role: string } }[];
let keys: PublicJwk[];
const levels = ['shared', 'dedicated', 'isolated'] as const;

beforeAll(async () => {
  ({ api, run } = await sharedSystem());
  tenants = await Promise.all(
    levels.map(async (isolation) => {
      const { tenant } = await activeTenant(api, { name: unique('Check'), isolation, adminEmail: 'a@check.example' });
      const { body: place } = await api.get(`${PLATFORM}/tenants/${tenant.id}/placement`);
      return { id: tenant.id, place };
    }),
  );
  ({ keys } = (await api.raw('GET', '/.well-known/jwks.json')).body);
}, 60_000);

const idsOf = (of: typeof tenants) => of.map(({ id }) => id);
async function check(tenantIds: string[]) {
  const { status, body } = await api.post(`${PLATFORM}/isolation-checks`, { tenantIds });
  expect(status).toBe(202);
  const operation = await eventually(
    async () => {
      const found = (await api.get(body.operation.url)).body;
      if (found.finishedAt === null) throw new Error(`the check is ${found.status}: ${JSON.stringify(found.counts)}`);
      return found;
    },
    { timeoutMs: 30_000, what: 'the check to end' },
  );
  const { body: report } = await api.get(`${PLATFORM}/isolation-checks/${body.id}`);
  return { operation, report };
}
const brokenOf = (report: any) =>
  report.tenants.flatMap(({ attempts }: any) => attempts.filter(({ outcome }: any) => outcome === 'breached'));

describe('an isolation check', () => {
  it('tries every boundary of tenants of every level, and finds that they hold', async () => {
    const subscribed = tenants[1]!.id;
    const { key } = (await api.post(`${PLATFORM}/tenants/${subscribed}/api-keys`, { name: 'x' })).body;
    const created = await api.as(key).post(`/api/tenants/${subscribed}/event-subscriptions`, { name: 'x', contexts: 'all', from: 'new' });
    expect(created.status).toBe(201);
    const { operation, report } = await check(idsOf(tenants));
    expect(brokenOf(report)).toEqual([]);
    expect(operation).toMatchObject({ status: 'succeeded', type: 'isolation-check', counts: { total: 3, succeeded: 3, failed: 0 } });
    expect(report.tenants.map(({ tenantId, verdict }: any) => [tenantId, verdict]).sort()).toEqual(
      idsOf(tenants)
        .map((id) => [id, 'held'])
        .sort(),
    );
    for (const { attempts, tenantId } of report.tenants) {
      const held = new Map<string, number>();
      for (const { boundary, outcome } of attempts) if (outcome === 'held') held.set(boundary, (held.get(boundary) ?? 0) + 1);
      for (const boundary of ['database', 'schema', 'cache', 'api', 'tokens', 'bus', 'storage', 'keys', 'logs'])
        expect(held.get(boundary) ?? 0, `${boundary} of ${tenantId}`).toBeGreaterThan(0);
      const bySubscription = attempts.filter(({ attempt }: any) => attempt.includes('of its event subscription'));
      expect(bySubscription.every(({ outcome }: any) => outcome === (tenantId === subscribed ? 'held' : 'not_applicable'))).toBe(true);
    }
  });

  it('holds a suspended and an archived tenant to the same', async () => {
    const closed = await Promise.all(
      ['suspend', 'archive'].map(async (command) => {
        const { tenant } = await activeTenant(api, { name: unique('Closed'), isolation: 'dedicated' });
        expect((await api.post(`${PLATFORM}/tenants/${tenant.id}/${command}`)).status).toBeLessThan(300);
        return tenant.id as string;
      }),
    );
    const { operation, report } = await check(closed);
    expect(brokenOf(report)).toEqual([]);
    expect(operation.status).toBe('succeeded');
    expect(report.tenants).toHaveLength(2);
  });

  it('is signed, as a whole and tenant by tenant, so that a change shows', async () => {
    const { report } = await check(idsOf(tenants.slice(0, 1)));
    const { keyId, signature, ...document } = report;
    expect(keys.map(({ kid }) => kid)).toContain(keyId);
    expect(signatureFault(signature, 'isolation-report', signedText(document), keys)).toBeNull();
    const { keyId: _, signature: ofTenant, ...entry } = report.tenants[0];
    expect(signatureFault(ofTenant, 'isolation-report', signedText(entry), keys)).toBeNull();
    const better = { ...entry, attempts: entry.attempts.slice(1) };
    expect(signatureFault(ofTenant, 'isolation-report', signedText(better), keys)).not.toBeNull();
  });

  describe('where a boundary was opened on purpose', () => {
    let admin: pg.Client;
    beforeAll(async () => {
      admin = new pg.Client({ connectionString: run.postgresUrl.replace(/\/[^/]*$/, '/tenantry') });
      await admin.connect();
    });
    afterAll(() => admin?.end());

    it('finds it and fails', async () => {
      const { id, place } = tenants[1]!;
      const table = `"${place.schema}".config_settings`;
      await admin.query(`CREATE POLICY leak ON ${table} USING (true)`);
      await admin.query(`GRANT USAGE ON SCHEMA log TO "${place.role}"; GRANT SELECT ON log.heads TO "${place.role}"`);
      await admin.query(`GRANT EXECUTE ON FUNCTION log.append(jsonb) TO "${place.role}"`);
      // Of a superuser, whom no row-level security concerns.
      const view = `"${place.schema}".leak`;
      await admin.query(`CREATE VIEW ${view} AS SELECT * FROM ${table}; GRANT SELECT ON ${view} TO "${place.role}"`);
      try {
        const { operation, report } = await check([id]);
        expect(operation.status).toBe('failed');
        expect(report.tenants[0].verdict).toBe('breached');
        const open = brokenOf(report);
        expect(open.map(({ boundary }: any) => boundary).sort()).toEqual(expect.arrayContaining(['database', 'schema']));
        expect(
          open.some(
            ({ target, attempt }: any) => target === `${place.schema}.config_settings` && attempt === 'write a row of another tenant',
          ),
        ).toBe(true);
        const tried = open.map(({ target, attempt }: any) => `${target}: ${attempt}`);
        expect(tried).toContain(`${place.schema}.leak: read in another tenant's context`);
        expect(tried).toContain('log: call its functions');
        const { body: items } = await api.get(`${operation.id ? `${PLATFORM}/operations/${operation.id}` : ''}/items?status=failed`);
        expect(JSON.stringify(items)).toContain('got through');
        const { body } = await api.post(`${PLATFORM}/tenants/${id}/diagnose`);
        expect(body.findings.find(({ check }: any) => check === 'isolation').status).toBe('failed');
      } finally {
        await admin.query(
          `DROP POLICY leak ON ${table}; DROP VIEW ${view}; REVOKE EXECUTE ON FUNCTION log.append(jsonb) FROM "${place.role}"`,
        );
        await admin.query(`REVOKE SELECT ON log.heads FROM "${place.role}"; REVOKE USAGE ON SCHEMA log FROM "${place.role}"`);
      }
      expect((await check([id])).report.tenants[0].verdict).toBe('held');
    });
  });

  it('is listed, and refused for tenants that nobody knows', async () => {
    const { report } = await check(idsOf(tenants.slice(0, 1)));
    const { body } = await api.get(`${PLATFORM}/isolation-checks?limit=1`);
    expect(body.items[0]).toMatchObject({ id: report.id, held: 1, breached: 0 });
    expect(body.nextCursor).not.toBeNull();
    const next = await api.get(`${PLATFORM}/isolation-checks?limit=1&cursor=${body.nextCursor}`);
    expect(next.body.items[0].id).not.toBe(report.id);
    const unknown = '00000000-0000-4000-8000-000000000000';
    const refused = await api.post(`${PLATFORM}/isolation-checks`, { tenantIds: [tenants[0]!.id, unknown] });
    expect([refused.status, refused.body.errors[0].field]).toEqual([422, 'tenantIds.1']);
    expect((await api.get(`${PLATFORM}/isolation-checks/${unknown}`)).status).toBe(404);
    expect((await api.get(`${PLATFORM}/isolation-checks/${report.id}?cursor=x`)).status).toBe(422);
  });
});

describe('a diagnosis', () => {
  const diagnose = async (id: string) => {
    const { status, body } = await api.post(`${PLATFORM}/tenants/${id}/diagnose`);
    expect(status).toBe(200);
    return new Map<string, any>(body.findings.map((finding: any) => [finding.check, finding]));
  };

  it('finds nothing wrong with a tenant that is well', async () => {
    for (const { id } of tenants) {
      const findings = await eventually(async () => {
        const found = await diagnose(id);
        // The owner of a new tenant has still to accept, and its events may be a moment behind.
        const wrong = [...found.values()].filter(
          ({ check, status }) => status !== 'ok' && status !== 'not_applicable' && !['user-accounts', 'permissions'].includes(check),
        );
        if (wrong.length > 0) throw new Error(JSON.stringify(wrong));
        return found;
      });
      expect(findings.size).toBeGreaterThan(18);
    }
  });

  it('says what is wrong and what to do about it', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Ill'), plan: 'free', limits: { users: 1 } });
    const key = (await api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'x' })).body.key;
    expect((await api.as(key).post(`/api/tenants/${tenant.id}/usage/increment`, { resource_type: 'users', amount: 1 })).status).toBe(200);
    const full = await diagnose(tenant.id);
    expect(full.get('limits')).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('users 1 of 1'),
      remedy: expect.stringContaining('PUT'),
    });
    await api.post(`${PLATFORM}/tenants/${tenant.id}/suspend`, { reason: 'unpaid', cause: 'payment' });
    const suspended = await diagnose(tenant.id);
    expect(suspended.get('tenant-status')).toMatchObject({ status: 'failed', remedy: expect.stringContaining('reactivate') });
    expect(suspended.get('api').status).toBe('failed');
    expect(suspended.get('limits').status).toBe('not_applicable');
    expect(suspended.get('database').status).toBe('ok');
  });

  it('is for staff alone, and for tenants that exist', async () => {
    const unknown = await api.post(`${PLATFORM}/tenants/00000000-0000-4000-8000-000000000000/diagnose`);
    expect(unknown.status).toBe(404);
    const key = (await api.post(`${PLATFORM}/tenants/${tenants[0]!.id}/api-keys`, { name: 'x' })).body.key;
    expect((await api.as(key).post(`${PLATFORM}/tenants/${tenants[0]!.id}/diagnose`)).status).toBe(403);
  });
});
