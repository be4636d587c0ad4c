import { at, type EventFixture, end, sealed } from './event-fixture.js';

const plan = {
  ...{ id: 'free', version: 1, priceMinor: 0, currency: 'USD', limits: { users: 5, storage: null }, retentionDays: 30 },
  ...{ securityLevel: 'basic', priority: 10, features: [], trialDays: 0 },
};
const business = { ...plan, id: 'business', priceMinor: 79_900, securityLevel: 'advanced', priority: 50, features: ['custom_domains'] };
const step = { operationId: 'op-1', step: 'isolate', attempt: 1, startedAt: at, durationMs: 1.5 };

export const tenantFixtures: readonly EventFixture[] = [
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
];
