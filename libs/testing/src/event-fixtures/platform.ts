import { at, type EventFixture, end, sealed } from './event-fixture.js';

export const platformFixtures: readonly EventFixture[] = [
  {
    type: 'ApprovalPoliciesSet',
    version: 1,
    data: { items: [{ categories: ['security'], commands: ['suspend'], approvers: 1, expiresHours: 72 }], before: [] },
  },
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
