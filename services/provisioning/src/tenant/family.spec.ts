import { describe, expect, it } from 'vitest';
import { followParent } from './family.js';
import { type Tenant, tenant } from './tenant.js';
import { archive, asReseller, suspend, toStatus } from './transitions.js';

const NOW = '2026-01-01T00:00:00.000Z';
const PARENT = 'parent';
const as = (status: string, more: Record<string, unknown> = {}): Tenant =>
  ({
    status,
    statusCause: null,
    suspendedFrom: status === 'suspended' ? 'active' : null,
    suspendedWith: null,
    scheduled: {},
    ...more,
  }) as unknown as Tenant;
const child = (status: string, more: Record<string, unknown> = {}) => as(status, { parentId: PARENT, ...more });
const follow = (parent: Tenant, of: Tenant) => followParent({ id: PARENT, state: parent }, NOW)(of);

describe('a child', () => {
  it.each(['suspended', 'archived', 'deleting'])('is suspended with a reseller that is %s', (status) => {
    expect(follow(as(status, { statusCause: 'payment' }), child('active'))).toMatchObject([
      { type: 'TenantSuspended', data: { cause: 'payment', parentId: PARENT, before: { status: 'active' } } },
    ]);
  });
  it('comes back with it, as what it was', () => {
    expect(
      follow(as('active'), child('suspended', { suspendedWith: PARENT, suspendedFrom: 'trial', statusCause: 'policy' })),
    ).toMatchObject([{ type: 'TenantReactivated', data: { status: 'trial', cause: 'policy', parentId: PARENT } }]);
  });
  it('that was suspended with it can be suspended for itself, once, and then stays so', () => {
    const together = child('suspended', { suspendedWith: PARENT, suspendedFrom: 'trial', statusCause: 'manual' });
    const decided = suspend({ cause: 'policy', reason: 'spam' }, NOW)(together);
    expect(decided).toEqual([
      { type: 'TenantSuspended', data: { cause: 'policy', reason: 'spam', before: { status: 'trial' }, suspendedAt: NOW } },
    ]);
    expect(toStatus('suspended', { cause: 'policy' }, NOW)(together)).toHaveLength(1);
    const alone = tenant.evolve(together, { ...decided[0], recordedAt: NOW } as never);
    expect(alone).toMatchObject({ status: 'suspended', suspendedFrom: 'trial', suspendedWith: null, statusCause: 'policy' });
    expect(suspend({ cause: 'manual' }, NOW)(alone)).toEqual([]);
    expect(follow(as('active'), alone)).toEqual([]);
    expect(follow(as('suspended'), together)).toEqual([]);
  });
  it.each([
    ['was suspended for itself', as('active'), child('suspended')],
    ['is already suspended', as('suspended'), child('suspended')],
    ['is still being provisioned', as('suspended'), child('pending')],
    ['is archived', as('suspended'), child('archived')],
    ['is deleted', as('suspended'), child('deleted')],
    ['is another’s', as('suspended'), as('active', { parentId: 'other' })],
    ['is nobody’s', as('suspended'), as('active')],
    ['never was', as('suspended'), { status: 'none' } as Tenant],
  ])('stays as it is where it %s', (_what, parent, of) => {
    expect(follow(parent, of)).toEqual([]);
  });
});

describe('a reseller', () => {
  it('ends what it began or what went with it, and nothing that the platform did', () => {
    const back = (of: Tenant) => asReseller(PARENT, 'active', { cause: 'manual' }, NOW)(of);
    expect(back(child('suspended', { suspendedBy: PARENT }))).toMatchObject([{ type: 'TenantReactivated' }]);
    expect(back(child('suspended', { suspendedWith: PARENT }))).toMatchObject([{ type: 'TenantReactivated' }]);
    for (const statusCause of ['payment', 'policy', 'manual'])
      expect(() => back(child('suspended', { statusCause, suspendedBy: null }))).toThrow(/only the platform/);
    expect(() => back(child('archived', { archivedBy: null, archivedFrom: 'active' }))).toThrow(/only the platform/);
    expect(asReseller(PARENT, 'suspended', { cause: 'manual' }, NOW)(child('suspended', { statusCause: 'policy' }))).toEqual([]);
  });
  it('is noted where it closes a child, and no more once the platform closes it too', () => {
    const after = (of: Tenant, events: object[]) =>
      events.reduce<Tenant>((state, event) => tenant.evolve(state, { ...event, recordedAt: NOW } as never), of);
    const byReseller = asReseller(PARENT, 'suspended', { cause: 'manual' }, NOW)(child('active'));
    expect(byReseller).toMatchObject([{ data: { resellerId: PARENT } }]);
    const suspended = after(child('active'), byReseller);
    expect(asReseller(PARENT, 'suspended', { cause: 'manual' }, NOW)(suspended)).toEqual([]);
    const takenOver = suspend({ cause: 'policy' }, NOW)(suspended);
    expect(takenOver).toMatchObject([{ type: 'TenantSuspended', data: { cause: 'policy', before: { status: 'active' } } }]);
    expect(after(suspended, takenOver)).toMatchObject({ status: 'suspended', suspendedFrom: 'active', suspendedBy: null });
    expect(suspend({ cause: 'manual' }, NOW)(after(suspended, takenOver))).toEqual([]);
    const archived = after(suspended, asReseller(PARENT, 'archived', { cause: 'manual' }, NOW)(suspended));
    expect(archived).toMatchObject({ status: 'archived', archivedFrom: 'suspended', archivedBy: PARENT, suspendedBy: PARENT });
    const kept = after(archived, archive({ cause: 'manual' }, NOW)(archived));
    expect(kept).toMatchObject({ status: 'archived', archivedFrom: 'suspended', archivedBy: null });
  });
});
