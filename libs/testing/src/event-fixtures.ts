/** The data of an event as some release wrote it: to be upcast and folded for ever. */
export interface EventFixture {
  type: string;
  version: number;
  data: Record<string, unknown>;
}

const at = '2026-01-01T00:00:00.000Z';
const end = '2026-02-01T00:00:00.000Z';
const sealed = { enc: '11111111-1111-4111-8111-111111111111/contacts/1:AAAA' };
const plan = {
  ...{ id: 'free', version: 1, priceMinor: 0, currency: 'USD', limits: { users: 5, storage: null }, retentionDays: 30 },
  ...{ securityLevel: 'basic', priority: 10, features: [], trialDays: 0 },
};
const business = { ...plan, id: 'business', priceMinor: 79_900, securityLevel: 'advanced', priority: 50, features: ['custom_domains'] };
const step = { operationId: 'op-1', step: 'isolate', attempt: 1, startedAt: at, durationMs: 1.5 };
const quotas = (limit: number | null) => [{ resource: 'users', kind: 'gauge', unit: 'count', limit, source: 'plan' }];
const priced = { plan: { id: 'free', version: 1 }, priceMinor: 0, currency: 'USD' };
const setting = { key: 'theme', value: sealed, type: 'string', category: 'general', encrypted: false };
const domain = { domainId: 'd-1', host: 'acme.example', unicodeHost: 'acme.example', primary: true, ssl: true };
const apiKey = { keyId: 'k-1', permissions: ['tenant:read'], prefix: 'tnt_test_abcd', createdAt: at };

const lives = {
  ...{ isolation: 'dedicated', server: 'default', database: 'tenantry', schema: 't_1', appSchema: 'app_1', role: 't_1' },
  ...{ generation: 1, workerGroup: 'shared' },
};

/** One for every version of every event type that was ever written. What is here is never changed: a new version is added. */
export const eventFixtures: readonly EventFixture[] = [
  {
    type: 'TenantRegistered',
    version: 1,
    data: {
      ...{ operationId: 'op-1', name: 'Acme', slug: 'acme', domain: { type: 'subdomain', host: 'acme.tenantry.localhost', ssl: true } },
      ...{ plan, priority: 10, isolation: 'shared', region: 'default', activation: 'automatic', timezone: 'UTC', locale: 'en-US' },
      ...{ language: 'en', currency: 'USD', theme: 'default', adminEmail: sealed, limits: { users: null }, features: { beta: true } },
      ...{ settings: [{ key: 'motto', value: sealed, type: 'string', category: 'general' }], tags: ['new'], registeredAt: at },
    },
  },
  {
    type: 'TenantRegistered',
    version: 1,
    data: {
      ...{ operationId: 'op-1', name: 'Child', slug: 'child', domain: { type: 'subdomain', host: 'child.tenantry.localhost', ssl: true } },
      ...{ plan, priority: 10, isolation: 'shared', region: 'default', activation: 'automatic', timezone: 'UTC', locale: 'en-US' },
      ...{ language: 'en', currency: 'USD', theme: 'default', limits: {}, features: {}, settings: [], tags: [] },
      ...{ parentId: '11111111-1111-4111-8111-111111111111', registeredAt: at },
    },
  },
  { type: 'RegistrationAbandoned', version: 1, data: { slug: 'acme', abandonedAt: at } },
  { type: 'TenantUpdated', version: 1, data: { name: 'Acme Ltd', billingEmail: sealed, before: { name: 'Acme' } } },
  { type: 'TenantUpdated', version: 2, data: { theme: 'dark', billingEmail: null, before: { theme: 'default', billingEmail: sealed } } },
  { type: 'TenantProvisioned', version: 1, data: { operationId: 'op-1', provisionedAt: at } },
  { type: 'TenantActivated', version: 1, data: { operationId: 'op-1', status: 'active', reason: 'provisioned', activatedAt: at } },
  { type: 'TenantActivated', version: 1, data: { status: 'active', reason: 'looks good', activatedAt: at } },
  { type: 'TenantActivated', version: 2, data: { status: 'trial', cause: 'manual', reason: sealed, activatedAt: at } },
  { type: 'TenantActivated', version: 3, data: { status: 'active', cause: 'trial_ended', activatedAt: end } },
  { type: 'TenantTrialEnded', version: 1, data: { endedAt: end } },
  { type: 'TenantSuspended', version: 1, data: { cause: 'payment', reason: sealed, before: { status: 'active' }, suspendedAt: at } },
  {
    type: 'TenantReactivated',
    version: 1,
    data: { status: 'active', cause: 'manual', before: { status: 'suspended' }, reactivatedAt: at },
  },
  {
    type: 'TenantSuspended',
    version: 1,
    data: { cause: 'policy', parentId: '11111111-1111-4111-8111-111111111111', before: { status: 'trial' }, suspendedAt: at },
  },
  {
    type: 'TenantReactivated',
    version: 1,
    data: {
      ...{ status: 'trial', cause: 'policy', parentId: '11111111-1111-4111-8111-111111111111' },
      ...{ before: { status: 'suspended' }, reactivatedAt: at },
    },
  },
  { type: 'TenantArchived', version: 1, data: { cause: 'manual', reason: sealed, before: { status: 'suspended' }, archivedAt: at } },
  {
    type: 'ChildAdmitted',
    version: 1,
    data: { childId: '22222222-2222-4222-8222-222222222222', slug: 'acme-north', admittedAt: at },
  },
  {
    type: 'TenantArchived',
    version: 1,
    data: { cause: 'manual', resellerId: '11111111-1111-4111-8111-111111111111', before: { status: 'active' }, archivedAt: at },
  },
  {
    type: 'TenantRestored',
    version: 1,
    data: { status: 'suspended', cause: 'manual', reason: sealed, before: { status: 'archived' }, restoredAt: at },
  },
  {
    type: 'TenantDeletionScheduled',
    version: 1,
    data: {
      ...{ operationId: 'op-3', cause: 'manual', graceEndsAt: end, before: { status: 'active' }, scheduledAt: at },
      ...{ feedback: { category: 'price', text: sealed }, winBack: true },
    },
  },
  {
    type: 'TenantDeletionScheduled',
    version: 1,
    data: { operationId: 'op-3', cause: 'manual', reason: sealed, graceEndsAt: end, before: { status: 'archived' }, scheduledAt: at },
  },
  {
    type: 'TenantDeletionCancelled',
    version: 1,
    data: {
      ...{ operationId: 'op-3', status: 'pending', provisioningId: 'op-1', cause: 'manual', reason: sealed },
      ...{ before: { status: 'deleting' }, cancelledAt: at },
    },
  },
  { type: 'TenantErasureStarted', version: 1, data: { operationId: 'op-3', startedAt: end } },
  { type: 'TenantErased', version: 1, data: { operationId: 'op-3', erasedAt: end } },
  { type: 'LegalHoldPlaced', version: 1, data: { reason: sealed, placedAt: at } },
  { type: 'LegalHoldReleased', version: 1, data: { reason: sealed, releasedAt: at } },
  {
    type: 'TransitionScheduled',
    version: 1,
    data: { transitionId: 't-1', command: 'suspend', at: end, cause: 'payment', reason: sealed, scheduledAt: at },
  },
  { type: 'TransitionUnscheduled', version: 1, data: { transitionId: 't-1', unscheduledAt: at } },
  {
    type: 'TransitionEnded',
    version: 1,
    data: {
      ...{ transitionId: 't-1', command: 'suspend', outcome: 'refused', endedAt: end },
      error: { code: 'tenant.transition_not_allowed', detail: 'A tenant that is archived cannot be suspended.' },
    },
  },
  { type: 'TransitionEnded', version: 1, data: { transitionId: 't-1', command: 'suspend', outcome: 'done', error: null, endedAt: end } },
  {
    type: 'TenantMoved',
    version: 1,
    data: {
      ...{ operationId: 'op-4', isolation: 'isolated', region: 'default', server: 'default', database: 'tenantry_t_a', generation: 2 },
      before: { isolation: 'shared', region: 'default', server: 'default', database: 'tenantry', generation: 1 },
      movedAt: at,
    },
  },
  {
    type: 'TenantPlanChanged',
    version: 1,
    data: {
      ...{ plan: business, priority: 50, features: { custom_domains: true }, changedAt: at },
      before: { plan, priority: 10, features: {} },
    },
  },
  {
    type: 'TenantProvisioningFailed',
    version: 1,
    data: { operationId: 'op-1', step: 'isolate', reason: { code: 'internal.error', detail: 'no disk' }, failedAt: at },
  },
  { type: 'TenantProvisioningRetried', version: 1, data: { operationId: 'op-2', reason: 'manual', retriedAt: at } },
  { type: 'TenantProvisioningRetried', version: 2, data: { operationId: 'op-2', reason: sealed, retriedAt: at } },
  { type: 'ProvisioningStepCompleted', version: 1, data: { ...step, skipped: false } },
  { type: 'ProvisioningStepFailed', version: 1, data: { ...step, error: { code: 'internal.error', detail: 'no disk' }, retryAt: null } },
  { type: 'ProvisioningCancelRequested', version: 1, data: { operationId: 'op-1', reason: 'wrong name', requestedAt: at } },
  { type: 'ProvisioningCancelRequested', version: 2, data: { operationId: 'op-1', reason: sealed, requestedAt: at } },
  { type: 'ProvisioningStepCompensated', version: 1, data: step },
  {
    type: 'OperationStarted',
    version: 1,
    data: { operationId: 'op-3', type: 'move', steps: ['prepare', 'copy'], input: { isolation: 'isolated' }, startedAt: at },
  },
  { type: 'OperationStepCompleted', version: 1, data: { ...step, step: 'copy', skipped: false, result: { rows: 3 } } },
  {
    type: 'OperationStepFailed',
    version: 1,
    data: { ...step, step: 'copy', error: { code: 'internal.error', detail: 'no disk' }, retryAt: at },
  },
  { type: 'OperationStepCompensated', version: 1, data: { ...step, step: 'copy' } },
  {
    type: 'OperationCompensationFailed',
    version: 1,
    data: { ...step, step: 'copy', error: { code: 'internal.error', detail: 'no disk' }, retryAt: null },
  },
  { type: 'OperationCommitted', version: 1, data: { operationId: 'op-3', step: 'retire', committedAt: at } },
  { type: 'OperationCancelRequested', version: 1, data: { operationId: 'op-3', reason: sealed, requestedAt: at } },
  { type: 'OperationRollbackRequested', version: 1, data: { operationId: 'op-3', requestedAt: at } },
  { type: 'OperationRetried', version: 1, data: { operationId: 'op-3', type: 'move', round: 1, reason: sealed, retriedAt: at } },
  {
    type: 'OperationEnded',
    version: 1,
    data: { operationId: 'op-3', type: 'move', status: 'failed', error: { code: 'internal.error', detail: 'no disk' }, endedAt: at },
  },
  { type: 'SettingsInitialized', version: 1, data: { settings: [setting], features: { beta: true } } },
  {
    type: 'SettingChanged',
    version: 1,
    data: { ...setting, value: sealed, before: { value: sealed, type: 'string', category: 'general', encrypted: false } },
  },
  {
    type: 'SettingRemoved',
    version: 1,
    data: { key: 'motto', before: { value: sealed, type: 'string', category: 'general', encrypted: true } },
  },
  { type: 'FeatureChanged', version: 1, data: { flag: 'beta', enabled: true, percentage: 100 } },
  {
    type: 'FeatureChanged',
    version: 1,
    data: { flag: 'beta', enabled: true, percentage: 12.5, before: { enabled: true, percentage: 100 }, scheduledAt: at },
  },
  { type: 'FeatureReset', version: 1, data: { flag: 'beta', before: { enabled: true, percentage: 12.5 } } },
  {
    type: 'FeatureScheduled',
    version: 1,
    data: { flag: 'beta', enabled: true, percentage: 50, at: end, before: { enabled: false, percentage: 100, at } },
  },
  { type: 'FeatureScheduleCancelled', version: 1, data: { flag: 'beta', before: { enabled: true, percentage: 50, at: end } } },
  {
    type: 'ApprovalRequested',
    version: 1,
    data: {
      ...{ approvalId: 'a-1', command: 'settings', body: null, ifMatch: 3, approvers: 1, expiresAt: end, requestedAt: at },
      change: {
        settings: [{ ...setting, before: { value: sealed, type: 'string', category: 'general', encrypted: false } }],
        removed: [{ key: 'motto', before: { value: sealed, type: 'string', category: 'general', encrypted: false } }],
        features: [{ flag: 'beta', enabled: true, percentage: 50, at: end }],
        ...{ reset: ['alpha'], tenant: { timezone: 'UTC', plan: 'business' } },
      },
    },
  },
  {
    type: 'ApprovalRequested',
    version: 1,
    data: {
      ...{
        approvalId: 'a-2',
        command: 'suspend',
        change: null,
        body: sealed,
        ifMatch: null,
        approvers: 2,
        expiresAt: end,
        requestedAt: at,
      },
    },
  },
  {
    type: 'ApprovalRequested',
    version: 1,
    data: {
      ...{ approvalId: 'a-3', command: 'plan', body: null, ifMatch: null, approvers: 1, named: true, person: 'owner-1' },
      change: { settings: [], removed: [], features: [], reset: [], planVersion: 3, tenant: { plan: 'business' } },
      ...{ expiresAt: end, requestedAt: at },
    },
  },
  {
    type: 'ApprovalGiven',
    version: 1,
    data: { approvalId: 'a-3', approvedBy: [{ kind: 'staff', id: 's-1' }], people: ['owner-2'], granted: true, givenAt: at },
  },
  {
    type: 'ApprovalGiven',
    version: 1,
    data: { approvalId: 'a-1', approvedBy: [{ kind: 'staff', id: 's-1' }], granted: true, reason: sealed, givenAt: at },
  },
  { type: 'ApprovalRejected', version: 1, data: { approvalId: 'a-1', reason: sealed, rejectedAt: at } },
  { type: 'ApprovalExpired', version: 1, data: { approvalId: 'a-1', expiredAt: end } },
  { type: 'ApprovalApplied', version: 1, data: { approvalId: 'a-1', appliedAt: at } },
  { type: 'ApprovalFailed', version: 1, data: { approvalId: 'a-1', error: { code: 'precondition.failed', detail: 'x' }, failedAt: at } },
  {
    type: 'ApprovalPoliciesSet',
    version: 1,
    data: { items: [{ categories: ['security'], commands: ['suspend'], approvers: 1, expiresHours: 72 }], before: [] },
  },
  {
    type: 'TenantMoveStarted',
    version: 1,
    data: {
      operationId: 'op-3',
      from: lives,
      to: { ...lives, isolation: 'isolated', database: 'tenantry_t_1', generation: 2 },
      keepSourceMinutes: 5,
    },
  },
  { type: 'TenantMoveEnded', version: 1, data: { operationId: 'op-3', status: 'succeeded' } },
  {
    type: 'TenantPlaced',
    version: 1,
    data: {
      ...{ isolation: 'shared', server: 'default', database: 'tenantry', schema: 'shared', appSchema: 'app_shared' },
      ...{ role: 'tenantry_shared', generation: 1, workerGroup: 'shared' },
    },
  },
  { type: 'TenantUnplaced', version: 1, data: { generation: 1 } },
  {
    type: 'QuotasAssigned',
    version: 1,
    data: {
      ...{ plan: { id: 'free', version: 1 }, retentionDays: 30, timezone: 'UTC', quotas: quotas(5) },
      ...{ periodStart: at, periodEnd: end },
    },
  },
  {
    type: 'QuotasChanged',
    version: 1,
    data: {
      ...{ plan: { id: 'business', version: 1 }, retentionDays: 365, quotas: quotas(500), planPosition: 20, changedAt: at },
      before: { plan: { id: 'free', version: 1 }, retentionDays: 30, quotas: quotas(5) },
    },
  },
  { type: 'LimitsChanged', version: 1, data: { quotas: quotas(7), before: { quotas: quotas(5) }, changedAt: at } },
  { type: 'QuotasWithdrawn', version: 1, data: { withdrawnAt: at } },
  {
    type: 'SubscriptionOpened',
    version: 1,
    data: { ...priced, timezone: 'UTC', billingEmail: sealed, trialEndsAt: end, periodStart: at, periodEnd: end, openedAt: at },
  },
  {
    type: 'SubscriptionPlanChanged',
    version: 1,
    data: { ...priced, priceMinor: 79_900, before: priced, planPosition: 20, changedAt: at },
  },
  { type: 'TrialEnded', version: 1, data: { endedAt: end, periodStart: end, periodEnd: '2026-03-01T00:00:00.000Z' } },
  { type: 'SubscriptionCancelled', version: 1, data: { reason: 'The tenant could not be completed', cancelledAt: at } },
  { type: 'DomainClaimed', version: 1, data: { ...domain, claimedAt: at } },
  {
    type: 'CustomDomainRegistered',
    version: 1,
    data: { ...domain, records: [{ purpose: 'ownership', type: 'TXT', name: '_tenantry.acme.example', value: 'x' }], registeredAt: at },
  },
  { type: 'DomainReleased', version: 1, data: { domainId: 'd-1', host: 'acme.example', releasedAt: at } },
  { type: 'DomainClaimAbandoned', version: 1, data: { domainId: 'd-1', host: 'acme.example', abandonedAt: at } },
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
  {
    type: 'PlanPublished',
    version: 1,
    data: {
      ...{ planId: 'free', planVersion: 1, priceMinor: 0, currency: 'USD', limits: { users: 5 }, retentionDays: 30 },
      ...{ securityLevel: 'basic', priority: 10, features: [] },
    },
  },
  {
    type: 'ParkedSkipped',
    version: 1,
    data: {
      parkedId: 'p-1',
      kind: 'event',
      service: 'audit',
      consumer: 'audit',
      tenantId: 't-1',
      position: 4,
      type: 'TenantUpdated',
      reason: 'broken by an import',
    },
  },
  { type: 'ProjectionRebuildRequested', version: 1, data: { operationId: 'o-1', service: 'audit', consumer: 'audit', tenantId: null } },
  { type: 'ProjectionRebuildEnded', version: 1, data: { operationId: 'o-1', succeeded: 3, failed: 0 } },
  {
    type: 'MaintenanceScheduled',
    version: 1,
    data: {
      ...{ windowId: 'w-1', scope: 'some', startsAt: '2026-03-01T22:00:00.000Z', endsAt: '2026-03-01T23:00:00.000Z' },
      ...{ noticeAt: '2026-03-01T21:00:00.000Z', reason: 'a new disk', emergency: false },
    },
  },
  { type: 'MaintenanceTenantsNamed', version: 1, data: { windowId: 'w-1', tenantIds: ['8d7b7f3c-56a0-4b5e-9a5d-3f1f0c1a2b3c'] } },
  {
    type: 'MaintenanceStarted',
    version: 1,
    data: {
      ...{ windowId: 'w-1', scope: 'some', endsAt: '2026-03-01T23:00:00.000Z' },
      ...{ reason: 'a new disk', startedAt: '2026-03-01T22:00:00.000Z' },
    },
  },
  {
    type: 'MaintenanceEnded',
    version: 1,
    data: { windowId: 'w-1', cause: 'manual', reason: 'done early', endedAt: '2026-03-01T22:30:00.000Z' },
  },
  {
    type: 'JobRequested',
    version: 1,
    data: { operationId: 'o-2', type: 'suspend', total: 3, concurrency: 4, stopAfterFailures: 2, afterCanary: 'pause-if-failed' },
  },
  { type: 'JobPaused', version: 1, data: { operationId: 'o-2', cause: 'failures', pausedAt: '2026-03-01T10:00:00.000Z' } },
  {
    type: 'JobResumed',
    version: 1,
    data: { operationId: 'o-2', failed: 2, reason: 'the disk is free again', resumedAt: '2026-03-01T11:00:00.000Z' },
  },
  { type: 'JobCancelRequested', version: 1, data: { operationId: 'o-2', reason: 'not today', requestedAt: '2026-03-01T12:00:00.000Z' } },
  { type: 'JobRetried', version: 1, data: { operationId: 'o-2', retriedAt: '2026-03-01T13:00:00.000Z' } },
  {
    type: 'JobEnded',
    version: 1,
    data: {
      operationId: 'o-2',
      outcome: 'succeeded',
      counts: { total: 3, pending: 0, succeeded: 2, failed: 0, quarantined: 1, skipped: 0 },
      endedAt: '2026-03-01T14:00:00.000Z',
    },
  },
  {
    type: 'ServerRegistered',
    version: 1,
    data: { name: 'eu-1', region: 'eu', capacity: 100, host: 'db.eu.example', port: 5432 },
  },
  { type: 'ServerChanged', version: 1, data: { name: 'eu-1', region: null, capacity: 0 } },
  { type: 'DatabaseRegistered', version: 1, data: { server: 'eu-1', name: 'tenants_2', capacity: null, accepts: ['dedicated'] } },
  { type: 'DatabaseChanged', version: 1, data: { server: 'eu-1', name: 'tenants_2', capacity: 500, accepts: [] } },
  { type: 'BlueprintChanged', version: 1, data: { name: 'crm', supportsShared: true, status: 'active', changedAt: at } },
  {
    type: 'BlueprintVersionPublished',
    version: 1,
    data: { name: 'crm', blueprintVersion: 1, sql: 'CREATE TABLE a (id uuid PRIMARY KEY)', sha256: '00', publishedAt: at },
  },
  {
    type: 'ParkedSkipped',
    version: 2,
    data: {
      ...{ parkedId: 'p-1', kind: 'event', service: 'audit', consumer: 'audit', tenantId: 't-1', position: 4, type: 'TenantUpdated' },
      reason: sealed,
    },
  },
  { type: 'MaintenanceEnded', version: 2, data: { windowId: 'w-1', cause: 'manual', reason: sealed, endedAt: end } },
  { type: 'JobPaused', version: 2, data: { operationId: 'o-2', cause: 'manual', reason: sealed, pausedAt: at } },
  { type: 'JobResumed', version: 2, data: { operationId: 'o-2', failed: 2, reason: sealed, resumedAt: at } },
  { type: 'JobCancelRequested', version: 2, data: { operationId: 'o-2', reason: sealed, requestedAt: at } },
  { type: 'JobRetried', version: 2, data: { operationId: 'o-2', reason: sealed, retriedAt: at } },
  { type: 'PlatformKeyCreated', version: 1, data: { keyId: 'k-2', name: 'ops', permissions: ['*'], createdAt: at } },
  {
    type: 'PlatformKeyCreated',
    version: 1,
    data: { keyId: 'k-3', name: 'ops', permissions: ['*'], owner: sealed, person: 'owner-1', expiresAt: end, createdAt: at },
  },
  { type: 'PlatformKeyRevoked', version: 1, data: { keyId: 'k-2', reason: 'manual', revokedAt: end } },
];
