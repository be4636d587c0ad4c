import { at, type EventFixture, end, sealed } from './event-fixture.js';

const apiKey = { keyId: 'k-1', permissions: ['tenant:read'], prefix: 'tnt_test_abcd', createdAt: at };

export const identityFixtures: readonly EventFixture[] = [
  {
    type: 'SecurityInitialized',
    version: 1,
    data: { securityLevel: 'basic', roles: [{ role: 'owner', permissions: ['*'] }], keyVersion: 1 },
  },
  { type: 'TenantKeyRotated', version: 1, data: { keyVersion: 2, cause: 'requested', rotatedAt: at } },
  { type: 'TenantKeyRotated', version: 1, data: { keyVersion: 3, cause: 'age', rotatedAt: at } },
  { type: 'SigningKeyRotated', version: 1, data: { keyId: 'k-2', rotatedAt: at } },
  {
    type: 'MemberInvited',
    version: 1,
    data: {
      ...{ memberId: 'm-1', email: sealed, emailIndex: 'aa', role: 'owner', invitationId: 'i-1', tenantName: 'Acme' },
      ...{ expiresAt: end, invitedAt: at },
    },
  },
  { type: 'InvitationSent', version: 1, data: { memberId: 'm-1', invitationId: 'i-1', simulated: true, sentAt: at } },
  { type: 'MemberRemoved', version: 1, data: { memberId: 'm-1', reason: 'provisioning_failed', removedAt: at } },
  { type: 'ApiKeyCreated', version: 1, data: { ...apiKey, name: 'ci' } },
  { type: 'ApiKeyCreated', version: 2, data: { ...apiKey, name: sealed } },
  { type: 'ApiKeyRevoked', version: 1, data: { keyId: 'k-1', reason: 'manual', revokedAt: at } },
  {
    type: 'EventSubscriptionCreated',
    version: 1,
    data: {
      ...{ subscriptionId: 's-1', name: sealed, tenants: ['11111111-1111-4111-8111-111111111111'], contexts: ['tenant'], types: null },
      ...{ from: { time: at }, startsAt: { '11111111-1111-4111-8111-111111111111': at }, account: 'ABC', createdAt: at },
    },
  },
  { type: 'EventSubscriptionRotated', version: 1, data: { subscriptionId: 's-1', credentials: 2, rotatedAt: at } },
  { type: 'EventSubscriptionPaused', version: 1, data: { subscriptionId: 's-1', pausedAt: at } },
  { type: 'EventSubscriptionPaused', version: 1, data: { subscriptionId: 's-1', because: 'tenant_closed', pausedAt: at } },
  { type: 'EventSubscriptionResumed', version: 1, data: { subscriptionId: 's-1', resumedAt: at } },
  { type: 'EventSubscriptionReplayed', version: 1, data: { subscriptionId: 's-1', from: 'first', startsAt: null, replayedAt: at } },
  { type: 'EventSubscriptionRevoked', version: 1, data: { subscriptionId: 's-1', reason: 'manual', revokedAt: at } },
];
