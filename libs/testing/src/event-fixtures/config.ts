import { at, type EventFixture, end, sealed } from './event-fixture.js';

const setting = { key: 'theme', value: sealed, type: 'string', category: 'general', encrypted: false };

export const configFixtures: readonly EventFixture[] = [
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
];
