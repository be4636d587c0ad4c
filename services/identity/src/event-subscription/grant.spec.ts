import { describe, expect, it } from 'vitest';
import { accountClaims, userPermissions } from './account.js';
import type { Existing } from './event-subscription.js';
import { consumersOf, grantOf, subscriptionOf } from './grant.js';

const [a, b] = ['0a000000-0000-4000-8000-000000000001', '0b000000-0000-4000-8000-000000000002'];
const id = 'b6f1c0de-0000-4000-8000-000000000001';
const refusal = (work: () => unknown): any => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
};

describe('what is granted', () => {
  it('has an order of its own, without repetitions', () => {
    const wanted = { tenants: [b, a, a.toUpperCase()], contexts: ['tenant', 'billing', 'tenant'], types: ['TenantRegistered'] } as const;
    expect(grantOf({ tenants: [...wanted.tenants], contexts: [...wanted.contexts], types: [...wanted.types] }, null)).toEqual({
      tenants: [a, b],
      contexts: ['billing', 'tenant'],
      types: ['TenantRegistered'],
    });
  });
  it.each([
    ['Nonsense', 'unknown'],
    ['PlanPublished', 'context'],
  ])('is not %s: %s', (type, rule) => {
    expect(refusal(() => grantOf({ tenants: 'all', contexts: ['tenant'], types: ['TenantRegistered', type] }, null))).toMatchObject({
      code: 'request.invalid',
      errors: [{ field: 'types.1', rule }],
    });
  });
  it("is a tenant's own, whatever it asks for", () => {
    expect(grantOf({ contexts: 'all' }, a).tenants).toEqual([a]);
    expect(grantOf({ tenants: 'all', contexts: 'all' }, a).tenants).toEqual([a]);
    expect(grantOf({ tenants: [a], contexts: 'all' }, a).tenants).toEqual([a]);
    expect(refusal(() => grantOf({ tenants: [a, b], contexts: 'all' }, a))).toMatchObject({ errors: [{ field: 'tenants.1' }] });
  });
  it('needs at most 32 consumers', () => {
    const tenants = Array.from({ length: 17 }, (_, index) => `0a000000-0000-4000-8000-${String(index).padStart(12, '0')}`);
    expect(consumersOf(id, grantOf({ tenants: tenants.slice(0, 16), contexts: ['tenant', 'billing'] }, null))).toHaveLength(32);
    const error = refusal(() => grantOf({ tenants, contexts: ['tenant', 'billing'] }, null));
    expect(error).toMatchObject({ code: 'event_subscription.too_wide', extensions: { limit: 32, needed: 34 } });
    expect(error.detail).toMatch(/at most 32.*several subscriptions/);
    expect(consumersOf(id, grantOf({ tenants, contexts: 'all' }, null))).toHaveLength(17);
  });
});

describe('consumers', () => {
  it.each([
    [[a], ['tenant'], [`tenantry.events.${a}.tenant.>`]],
    [[a, b], 'all', [`tenantry.events.${a}.>`, `tenantry.events.${b}.>`]],
    ['all', ['billing', 'tenant'], ['tenantry.events.*.billing.>', 'tenantry.events.*.tenant.>']],
    ['all', 'all', ['tenantry.events.>']],
  ] as const)('of %j in %j have these filters', (tenants, contexts, filters) => {
    const grant = grantOf(
      { tenants: tenants === 'all' ? 'all' : [...tenants], contexts: contexts === 'all' ? 'all' : [...contexts] },
      null,
    );
    const consumers = consumersOf(id, grant);
    expect(consumers.map(({ filterSubject }) => filterSubject)).toEqual(filters);
    expect(new Set(consumers.map(({ name }) => name)).size).toBe(consumers.length);
    for (const { name } of consumers) expect(subscriptionOf(name)).toBe(id);
  });
  it('of somebody else are nobody’s', () => {
    for (const name of ['es_1', 'reader', `es_${id}_0`, `xes_${id.replaceAll('-', '')}_0`]) expect(subscriptionOf(name)).toBeNull();
  });
});

describe('the account on the broker', () => {
  const known: Existing = {
    ...{ status: 'active', subscriptionId: id, name: 'x', tenants: [a], contexts: 'all', types: null, account: 'AC', credentials: 2 },
    ...{ start: { generation: 1, from: 'first', startsAt: null }, createdAt: '2026-01-01T00:00:00.000Z', revokedAt: null },
  };
  const name = `es_${id.replaceAll('-', '')}_0`;
  const subjects = [`$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.${name}`, `$JS.ACK.TENANTRY_EVENTS.${name}.>`];

  it('imports what its own consumers need, from the platform alone, and offers nothing', () => {
    const { imports = [], exports, limits } = accountClaims(known, 'open', 'PLATFORM', []);
    expect(imports.map(({ subject }) => subject)).toEqual(subjects);
    expect(new Set(imports.map(({ account, type, to, local_subject }) => [account, type, to, local_subject].join()))).toEqual(
      new Set(['PLATFORM,service,,']),
    );
    expect(exports).toBeUndefined();
    expect(limits).toMatchObject({ exports: 0, leaf: 0, wildcards: false });
    expect(Object.keys(limits ?? {}).filter((limit) => /storage|streams|consumer/.test(limit))).toEqual([]);
  });
  it('reaches nothing while it is paused', () => {
    expect(accountClaims(known, 'silent', 'PLATFORM', []).imports).toEqual([]);
  });
  it('refuses replaced users', () => {
    expect(Object.keys(accountClaims(known, 'open', 'PLATFORM', ['UOLD']).revocations ?? {})).toEqual(['UOLD']);
  });
  it('refuses everybody once it is revoked', () => {
    const claims = accountClaims({ ...known, status: 'revoked', revokedAt: '2026-01-02T00:00:00.000Z' }, 'closed', 'PLATFORM', ['UOLD']);
    expect(claims).toMatchObject({ imports: [], limits: { conn: 0 }, revocations: { '*': Date.parse('2026-01-02T00:00:01.000Z') / 1000 } });
  });
  it('lets its user say and hear that and no more', () => {
    expect(userPermissions(known, '_INBOX_x')).toEqual({ pub: { allow: subjects }, sub: { allow: ['_INBOX_x.>'] } });
  });
});
