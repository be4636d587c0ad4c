import type { listAudit } from '@tenantry/contracts/audit/routes';
import { DomainError } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import type { Call, RpcClient } from '@tenantry/messaging/rpc';
import type { Tenants } from '@tenantry/tenancy/tenants';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditDatabase } from '../testing/database.js';
import { auditEntries } from './entries.projection.js';
import { ListAuditRpc } from './list-audit.rpc.js';

let database: Awaited<ReturnType<typeof auditDatabase>>;
const keyring = new MemoryKeyring();
const log = new DefaultTenantLog(new MemoryEventStore(), keyring);
const tenantId = newId();
const rpc = { call: async () => ({ keys: ['secret', 'once.open'] }) } as unknown as RpcClient;
const time = (position: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, position)).toISOString();

beforeAll(async () => {
  database = await auditDatabase();
  const ip = (await keyring.encrypt(tenantId, 'principal-1', '192.0.2.7')).enc;
  const email = await keyring.encrypt(tenantId, 'member-1', 'ada@example.com');
  const rowsOf = (of: string, count: number) =>
    Array.from({ length: count }, (_, position) => ({
      tenantId: of,
      position,
      id: newId(),
      action: position % 2 === 0 ? 'identity.MemberInvited' : 'domain.DomainClaimed',
      resourceType: position % 2 === 0 ? 'member' : 'domain',
      resourceId: `stream-${position}`,
      actorKind: 'staff',
      actorId: `key-${position % 3}`,
      newValues: { email, nested: [{ email }], position },
      ip,
      createdAt: time(position),
    }));
  await database.tenants.withTenant(tenantId, ({ db }) => db.insert(auditEntries).values([...rowsOf(tenantId, 25), ...rowsOf(newId(), 3)]));
}, 120_000);
afterAll(() => database.stop());

type Query = Call<typeof listAudit>['query'];
const list = (query: Query = {}, permissions = ['audit:read'], of = tenantId, tenants: Tenants = database.tenants) =>
  new ListAuditRpc(tenants, log, keyring, rpc).handle({
    tenantId: of,
    params: { tenantId: of },
    query,
    body: {},
    command: { id: newId(), requestHash: '', principal: { kind: 'api-key', id: 'k', permissions } },
  });
const positions = async (query: Query) => (await list(query)).body.items.map(({ position }) => position);

describe('the audit list', () => {
  it('has the newest first and goes on where the page before ended', async () => {
    const seen: number[] = [];
    let cursor: string | undefined;
    do {
      const { body } = await list({ limit: 10, cursor });
      seen.push(...body.items.map(({ position }) => position));
      cursor = body.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => 24 - index));
  });

  it('counts the total for lists with an offset', async () => {
    const { body, total } = await list({ limit: 5, offset: 20, resourceType: 'member' });
    expect({ total, count: body.items.length }).toEqual({ total: 13, count: 0 });
    expect((await list({ limit: 5, offset: 10, resourceType: 'member' })).body.items.map(({ position }) => position)).toEqual([4, 2, 0]);
    expect((await list({ limit: 5 })).total).toBeUndefined();
  });

  it('filters by action, resource, actor and time', async () => {
    expect(await positions({ action: 'domain.DomainClaimed', limit: 3 })).toEqual([23, 21, 19]);
    expect(await positions({ resourceType: 'member', actor: 'key-0' })).toEqual([24, 18, 12, 6, 0]);
    expect(await positions({ from: time(5), to: time(7) })).toEqual([7, 6, 5]);
    expect(await positions({ from: '2026-01-01T01:00:05+01:00', to: time(5) })).toEqual([5]);
    expect(await positions({ action: "x' OR true --" })).toEqual([]);
  });

  it('refuses a cursor that is none', async () => {
    await expect(list({ cursor: 'next' })).rejects.toMatchObject({ code: 'request.invalid', errors: [{ field: 'cursor' }] });
  });
});

describe('personal data', () => {
  it('is left out or stays encrypted for those who may not read it', async () => {
    const [entry] = (await list({ limit: 1 })).body.items;
    expect(entry).toMatchObject({ ip: null, userAgent: null, newValues: { email: { enc: expect.any(String) }, position: 24 } });
  });

  it.each([[['*']], [['audit:read', 'personal:read']]])('is in clear for %j, wherever it stands', async (permissions) => {
    const [entry] = (await list({ limit: 1 }, permissions)).body.items;
    expect(entry).toMatchObject({
      ip: '192.0.2.7',
      userAgent: null,
      newValues: { email: 'ada@example.com', nested: [{ email: 'ada@example.com' }], position: 24 },
    });
  });

  it('of sensitive settings stays encrypted, what it was before included', async () => {
    const other = newId();
    const [secret, open, was, hidden] = await Promise.all(
      ['"s3"', '"open"', '"was"', '"hidden"'].map((text) => keyring.encrypt(other, 'config', text)),
    );
    const row = (position: number, newValues: object, oldValues: object | null) => ({
      ...{ tenantId: other, position, id: newId(), action: 'config.SettingChanged', resourceType: 'config', resourceId: 'config' },
      ...{ actorKind: 'staff', actorId: 'k', newValues, oldValues, createdAt: time(position) },
    });
    await database.tenants.withTenant(other, ({ db }) =>
      db
        .insert(auditEntries)
        .values([
          row(0, { key: 'plain', value: open, encrypted: false }, null),
          row(1, { key: 'secret', value: secret, encrypted: true }, { value: was, encrypted: false }),
          row(2, { key: 'once.open', value: hidden, encrypted: false }, null),
        ]),
    );
    const { body } = await list({}, ['*'], other);
    expect(body.items.map(({ newValues, oldValues }: any) => [newValues.value, oldValues?.value])).toEqual([
      [hidden, undefined],
      [secret, was],
      ['"open"', undefined],
    ]);
  });

  it('asks which settings are sensitive while it reads, and does without the answer where no setting is on the page', async () => {
    const asked: string[] = [];
    const failing = {
      call: async () => {
        asked.push('keys');
        throw new DomainError('service.unavailable');
      },
    } as unknown as RpcClient;
    const watched = {
      withTenant: (...args: Parameters<Tenants['withTenant']>) => {
        asked.push('rows');
        return database.tenants.withTenant(...args);
      },
    } as unknown as Tenants;
    const call = (of: string) =>
      new ListAuditRpc(watched, log, keyring, failing).handle({
        ...{ tenantId: of, params: { tenantId: of }, query: { limit: 1 }, body: {} },
        command: { id: newId(), requestHash: '', principal: { kind: 'staff', id: 's', permissions: ['*'] } },
      });
    expect((await call(tenantId)).body.items).toMatchObject([{ ip: '192.0.2.7' }]);
    expect(asked).toEqual(['keys', 'rows']);
    const ofSettings = newId();
    await database.tenants.withTenant(ofSettings, ({ db }) =>
      db.insert(auditEntries).values({
        ...{
          tenantId: ofSettings,
          position: 0,
          id: newId(),
          action: 'config.SettingChanged',
          resourceType: 'config',
          resourceId: 'config',
        },
        ...{ actorKind: 'staff', actorId: 'k', newValues: { key: 'a', value: 'b' }, createdAt: time(0) },
      }),
    );
    await expect(call(ofSettings)).rejects.toMatchObject({ code: 'service.unavailable' });
  });

  it('is null where the key was destroyed', async () => {
    const erased = new MemoryKeyring();
    erased.destroy(tenantId);
    const { body } = await new ListAuditRpc(database.tenants, log, erased, rpc).handle({
      tenantId,
      params: { tenantId },
      query: { limit: 1 },
      body: {},
      command: { id: newId(), requestHash: '', principal: { kind: 'staff', id: 's', permissions: ['*'] } },
    });
    expect(body.items[0]).toMatchObject({ ip: null, newValues: { email: null, nested: [{ email: null }], position: 24 } });
  });
});

describe('without a place', () => {
  const nowhere = { withTenant: () => Promise.reject(new DomainError('placement.not_found')) } as unknown as Tenants;
  it('a tenant that is being made has no entries yet', async () => {
    const made = newId();
    await log.transact(
      { stream: 's', events: (await import('@tenantry/contracts/domain/events')).domainEvents, initial: {}, evolve: (state) => state },
      { tenant: made, command: { id: newId(), actor: { kind: 'system', id: 'test' } } },
      () => [{ type: 'DomainReleased', data: { domainId: 'd', host: 'h', releasedAt: time(0) } }],
    );
    expect((await list({ offset: 0 }, ['*'], made, nowhere)).body.items).toEqual([]);
  });
  it('nobody is not found', async () => {
    await expect(list({}, ['*'], newId(), nowhere)).rejects.toMatchObject({ code: 'tenant.not_found' });
  });
});
