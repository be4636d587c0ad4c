import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import { tenantEvents } from '@tenantry/contracts/tenant/events';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { aggregate } from '@tenantry/event-store/aggregate';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { Reservations } from '@tenantry/messaging/reservations';
import type { Environment } from '@tenantry/service/environment';
import { TenantGate } from '@tenantry/service/tenant-gate';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { domainDatabase } from '../testing/database.js';
import { AbandonedClaims } from './abandoned-claims.js';
import { ClaimHostRpc } from './claim-host.rpc.js';
import { applied, type DomainRow, domainDomains } from './domains.projection.js';
import { HostTable } from './host-table.js';
import { ListDomainsRpc } from './list-domains.rpc.js';
import { ReleaseHostRpc } from './release-host.rpc.js';
import { ReserveHostRpc } from './reserve-host.rpc.js';
import { ResolveHostRpc } from './resolve-host.rpc.js';

let database: Awaited<ReturnType<typeof domainDatabase>>;
beforeAll(async () => {
  database = await domainDatabase();
}, 120_000);
afterAll(() => database.stop());

const store = new MemoryEventStore();
const keyring = new MemoryKeyring();
const log = new DefaultTenantLog(store, keyring);
const clock = new ManualClock();
const environment = { values: { TENANTRY_BASE_DOMAIN: 'tenantry.localhost' } } as Environment;
const caller = { service: 'provisioning' };
const reservations = () => new Reservations(database.pool, 'domain_ssl');
const hosts = () => new HostTable(database.pool);

let host: string;
let number = 0;
beforeEach(() => {
  host = `acme${number++}.tenantry.localhost`;
});
const reserve = async (tenantId: string, name = host, ttlMs = 60_000) =>
  (await new ReserveHostRpc(reservations(), environment).handle({ tenantId, host: name, ttlMs })).reserved;
const claim = (tenantId: string, operationId = newId(), using: Reservations = reservations()) =>
  new ClaimHostRpc(log, using, hosts(), clock, environment).handle(
    { tenantId, operationId, type: 'subdomain', host, ssl: true, primary: true },
    caller,
  );
const register = (tenantId: string, name: string) =>
  new ClaimHostRpc(log, reservations(), hosts(), clock, environment).handle(
    { tenantId, operationId: newId(), type: 'custom', host: name, ssl: true, primary: true },
    caller,
  );
const release = (tenantId: string, name = host) =>
  new ReleaseHostRpc(log, reservations(), hosts(), clock).handle({ tenantId, operationId: newId(), host: name }, caller);
const lookUp = (name = host) => new ResolveHostRpc(hosts(), new TenantGate({ store })).handle({ host: name });
const resolve = async (name = host) => (await lookUp(name)).tenantId;
/** What happens to a tenant, as far as its events say whether it may be used. */
const happens = (tenantId: string, type: string, data: unknown = {}) =>
  log.transact(
    aggregate({ stream: 'tenant', events: tenantEvents, initial: null, evolve: () => null }),
    { tenant: tenantId, command: { id: newId(), actor: { kind: 'service', id: 'test' } } },
    () => [{ type, data } as never],
  );
const free = () => new AbandonedClaims(log, reservations(), hosts(), database.pool, clock).free();
const expire = () => database.pool.query(`UPDATE domain_ssl.reservations SET expires_at = now() - interval '1 s' WHERE name = $1`, [host]);
const typesOf = async (tenantId: string) => (await log.readLog(tenantId, 0)).events.map(({ type }) => type);
const list = async (tenantId: string) =>
  (
    await new ListDomainsRpc(database.tenants, log).handle({
      tenantId,
      params: { tenantId },
      query: {},
      body: {},
      command: {} as CommandContext,
    })
  ).body.items;

describe('a subdomain', () => {
  it('is reserved for one of many who ask at once', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => reserve(newId())));
    expect(outcomes.filter(Boolean)).toHaveLength(1);
  });

  it('is claimed once and then leads to its tenant', async () => {
    const [tenantId, operationId] = [newId(), newId()];
    expect(await reserve(tenantId)).toBe(true);
    expect(await resolve()).toBeNull();
    const first = await claim(tenantId, operationId);
    expect(first.status).toBe('active');
    expect(await claim(tenantId, operationId)).toEqual(first);
    expect(await typesOf(tenantId)).toEqual(['DomainClaimed']);
    expect([await resolve(), await resolve(`${host.toUpperCase()}.`), await resolve(`${host}:8080`)]).toEqual([
      tenantId,
      tenantId,
      tenantId,
    ]);
    expect(await reserve(newId())).toBe(false);
  });

  it('of another tenant cannot be claimed', async () => {
    await reserve(newId());
    const late = newId();
    await expect(claim(late)).rejects.toMatchObject({ code: 'domain.taken' });
    expect(await typesOf(late)).toEqual([]);
  });

  it('is free again after its release, which can be repeated', async () => {
    const [first, second] = [newId(), newId()];
    await claim(first);
    await release(first);
    await release(first);
    expect(await resolve()).toBeNull();
    expect(await typesOf(first)).toEqual(['DomainClaimed', 'DomainReleased']);
    expect(await claim(second)).toMatchObject({ status: 'active' });
    // The first one's late compensation takes nothing from the second.
    await release(first);
    expect(await resolve()).toBe(second);
    expect(await reserve(first)).toBe(false);
  });

  it('can be claimed again by the same tenant, also within the same operation', async () => {
    const [tenantId, operationId] = [newId(), newId()];
    await claim(tenantId, operationId);
    await release(tenantId);
    await claim(tenantId, operationId);
    expect(await typesOf(tenantId)).toEqual(['DomainClaimed', 'DomainReleased', 'DomainClaimed']);
    expect(await resolve()).toBe(tenantId);
  });
});

describe('the host of a tenant that may not be used', () => {
  it('leads nowhere and says why, until the tenant is back', async () => {
    const tenantId = newId();
    await claim(tenantId);
    await happens(tenantId, 'TenantSuspended', { cause: 'manual', before: { status: 'active' }, suspendedAt: clock.now() });
    expect(await lookUp()).toEqual({ tenantId: null, closed: 'suspended' });
    await happens(tenantId, 'TenantArchived', { cause: 'manual', before: { status: 'suspended' }, archivedAt: clock.now() });
    expect(await lookUp()).toEqual({ tenantId: null, closed: 'archived' });
    const restored = { status: 'active', cause: 'manual', before: { status: 'archived' }, restoredAt: clock.now() };
    await happens(tenantId, 'TenantRestored', restored);
    expect(await lookUp()).toEqual({ tenantId });
  });
});

describe('a claim that is not finished', () => {
  it('keeps its name until it is abandoned on the log of its claimant', async () => {
    const [tenantId, other] = [newId(), newId()];
    await reserve(tenantId);
    await expire();
    expect(await reserve(other)).toBe(false);
    expect(await free()).toBe(1);
    expect(await typesOf(tenantId)).toEqual(['DomainClaimAbandoned']);
    expect(await reserve(other)).toBe(true);
    await expect(claim(tenantId)).rejects.toMatchObject({ code: 'domain.taken' });
  });

  it('can be taken up again by the same tenant', async () => {
    const tenantId = newId();
    await reserve(tenantId);
    await expire();
    await free();
    expect(await claim(tenantId)).toMatchObject({ status: 'active' });
    expect(await typesOf(tenantId)).toEqual(['DomainClaimAbandoned', 'DomainClaimed']);
  });

  it('loses against an abandonment in between, and then reserves again', async () => {
    const tenantId = newId();
    const own = reservations();
    let interfered = false;
    // Between the reservation and the claim, the reservation runs out and is abandoned.
    own.reserve = async (...args) => {
      const result = await reservations().reserve(...args);
      if (!interfered) {
        interfered = true;
        await expire();
        await free();
      }
      return result;
    };
    expect(await claim(tenantId, newId(), own)).toMatchObject({ status: 'active' });
    expect(await typesOf(tenantId)).toEqual(['DomainClaimAbandoned', 'DomainClaimed']);
    expect(await reserve(newId())).toBe(false);
  });

  it('is finished instead, where only its confirmation was lost', async () => {
    const tenantId = newId();
    await claim(tenantId);
    await database.pool.query('UPDATE domain_ssl.reservations SET confirmed_at = NULL WHERE name = $1', [host]);
    await database.pool.query('DELETE FROM domain_ssl.hosts WHERE host = $1', [host]);
    await expire();
    expect(await free()).toBe(0);
    expect(await typesOf(tenantId)).toEqual(['DomainClaimed']);
    expect(await resolve()).toBe(tenantId);
    expect(await free()).toBe(0);
    expect(await reserve(newId())).toBe(false);
  });
});

describe('a custom host', () => {
  it('is pending for everybody who wants it, with records of his own, and leads nowhere', async () => {
    const name = `shop.${number}.example.com`;
    const [one, two] = [newId(), newId()];
    expect(await reserve(one, name)).toBe(true);
    expect(await reserve(two, name)).toBe(true);
    expect(await register(one, name)).toMatchObject({ status: 'pending' });
    expect(await register(two, name)).toMatchObject({ status: 'pending' });
    expect(await resolve(name)).toBeNull();
    const [[first], [second]] = await Promise.all([list(one), list(two)]);
    expect(first).toMatchObject({ host: name, type: 'custom', status: 'pending', primary: true });
    expect(first?.records[0]?.value).not.toBe(second?.records[0]?.value);
    await release(one, name);
    expect((await list(one))[0]?.status).toBe('released');
  });
});

describe("the list of a tenant's domains", () => {
  it('is right before the read model is, and after', async () => {
    const tenantId = newId();
    await claim(tenantId);
    const before = await list(tenantId);
    expect(before).toMatchObject([{ host, unicodeHost: host, type: 'subdomain', status: 'active', records: [] }]);

    // The read model applies the first event and is behind on the second.
    const events = (await log.readLog(tenantId, 0)).events;
    const rows = applied([], events as never) as DomainRow[];
    await database.tenants.withTenant(tenantId, async ({ db, client }) => {
      await db.insert(domainDomains).values(rows);
      await client.query(
        "INSERT INTO checkpoints (tenant_id, consumer, version, position, event_id) VALUES ($1, 'domain-ssl', '1', 0, $2)",
        [tenantId, events[0]?.id],
      );
    });
    expect(await list(tenantId)).toEqual(before);
    await release(tenantId);
    expect((await list(tenantId))[0]?.status).toBe('released');
  });

  it('of nobody is not found', async () => {
    await expect(list(newId())).rejects.toMatchObject({ code: 'tenant.not_found' });
  });
});
