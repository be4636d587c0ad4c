import type { DomainEvent } from '@tenantry/contracts/domain/events';
import { describe, expect, it } from 'vitest';
import { dnsRecords } from './dns-records.js';
import { abandon, claim, type Domain, domain, register, release } from './domain.js';

const at = '2026-01-01T00:00:00.000Z';
const common = { domainId: 'd', host: 'acme.tenantry.localhost', unicodeHost: 'acme.tenantry.localhost', primary: true, ssl: true };
const claimed: DomainEvent = { type: 'DomainClaimed', data: { ...common, claimedAt: at } };
const registered: DomainEvent = { type: 'CustomDomainRegistered', data: { ...common, records: [], registeredAt: at } };
const released: DomainEvent = { type: 'DomainReleased', data: { domainId: 'd', host: common.host, releasedAt: at } };
const abandoned: DomainEvent = { type: 'DomainClaimAbandoned', data: { domainId: 'd', host: common.host, abandonedAt: at } };

const given = (...events: DomainEvent[]): Domain =>
  events.reduce<Domain>((state, event) => domain.evolve(state, event as Parameters<typeof domain.evolve>[1]), domain.initial);
const claimSeen = (seen: number) => claim(claimed.data as never, seen);

describe('claiming a subdomain', () => {
  it('happens once', () => {
    expect(claimSeen(0)(given())).toEqual([claimed]);
    expect(claimSeen(0)(given(claimed))).toEqual([]);
  });
  it('is possible again after an abandonment or a release that was seen', () => {
    expect(claimSeen(1)(given(abandoned))).toEqual([claimed]);
    expect(claimSeen(2)(given(claimed, released))).toEqual([claimed]);
  });
  it('fails when the claim was abandoned meanwhile: the name may be somebody else’s', () => {
    expect(() => claimSeen(0)(given(abandoned))).toThrowError(expect.objectContaining({ code: 'log.conflict' }));
  });
});

describe('a custom host', () => {
  it('is registered once, and again after its release', () => {
    expect(register(registered.data as never)(given())).toEqual([registered]);
    expect(register(registered.data as never)(given(registered))).toEqual([]);
    expect(register(registered.data as never)(given(registered, released))).toEqual([registered]);
  });
});

it('what the tenant has can be released, once', () => {
  expect(release(released.data as never)(given(claimed))).toEqual([released]);
  expect(release(released.data as never)(given(registered))).toEqual([released]);
  for (const state of [given(), given(claimed, released), given(abandoned)]) expect(release(released.data as never)(state)).toEqual([]);
});

it('a claim that was made is not abandoned', () => {
  expect(abandon(abandoned.data as never)(given())).toEqual([abandoned]);
  expect(abandon(abandoned.data as never)(given(claimed))).toEqual([]);
});

describe('the DNS records of a custom host', () => {
  const of = (tenantId: string) => dnsRecords({ tenantId, host: 'shop.acme.example', baseDomain: 'tenantry.localhost' });
  it('prove ownership and lead visitors here', () => {
    const [ownership, routing] = of('a');
    expect(ownership).toMatchObject({ type: 'TXT', name: '_tenantry-challenge.shop.acme.example' });
    expect(routing).toEqual({ purpose: 'routing', type: 'CNAME', name: 'shop.acme.example', value: 'edge.tenantry.localhost' });
  });
  it('are the same every time, and others for another tenant', () => {
    expect(of('a')).toEqual(of('a'));
    expect(of('a')[0]?.value).not.toBe(of('b')[0]?.value);
  });
});
