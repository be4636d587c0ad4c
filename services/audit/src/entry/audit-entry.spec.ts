import type { StoredEvent } from '@tenantry/contracts/events';
import { describe, expect, it } from 'vitest';
import { auditEntryOf, resourceType, traceIdOf, valuesOf } from './audit-entry.js';

const event: StoredEvent = {
  tenantId: '3f0c0000-0000-4000-8000-000000000001',
  position: 7,
  stream: 'domain-3f0c0000-0000-4000-8000-000000000002',
  streamVersion: 0,
  id: '3f0c0000-0000-4000-8000-000000000003',
  context: 'domain',
  type: 'DomainClaimed',
  version: 1,
  data: { host: 'acme.example' },
  metadata: {
    commandId: 'c',
    actor: { kind: 'staff', id: 'key-1' },
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    ip: { enc: 't/principal-1/1:abc' },
    userAgent: { enc: 't/principal-1/1:def' },
  },
  recordedAt: '2026-01-01T00:00:00.000001Z',
  bodyHash: '',
  leaf: '',
  previousInContext: null,
};

it('every event is an entry: who did what to which resource, when, from where', () => {
  expect(auditEntryOf(event)).toEqual({
    tenantId: event.tenantId,
    position: 7,
    id: event.id,
    action: 'domain.DomainClaimed',
    resourceType: 'domain',
    resourceId: event.stream,
    actorKind: 'staff',
    actorId: 'key-1',
    oldValues: null,
    newValues: { host: 'acme.example' },
    ip: 't/principal-1/1:abc',
    userAgent: 't/principal-1/1:def',
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    createdAt: '2026-01-01T00:00:00.000001Z',
  });
});

it('an address in clear is not kept', () => {
  expect(auditEntryOf({ ...event, metadata: { ...event.metadata, ip: '192.0.2.1' } }).ip).toBeNull();
});

it.each([
  ['tenant', 'tenant'],
  ['domain-3f0c0000-0000-4000-8000-000000000002', 'domain'],
  ['api-key-3f0c0000-0000-4000-8000-000000000002', 'api-key'],
])('stream %s is about a %s', (stream, type) => {
  expect(resourceType(stream)).toBe(type);
});

it.each([
  [undefined, null],
  ['nonsense', null],
  ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '4bf92f3577b34da6a3ce929d0e0e4736'],
])('the trace of %s is %s', (traceparent, traceId) => {
  expect(traceIdOf(traceparent)).toBe(traceId);
});

describe('before and after', () => {
  it('an event says what is from then on', () => {
    expect(valuesOf({ a: 1 })).toEqual({ oldValues: null, newValues: { a: 1 } });
  });
  it('one that says what was has both', () => {
    expect(valuesOf({ key: 'theme', before: 'dark', after: 'light' })).toEqual({ oldValues: 'dark', newValues: 'light' });
    expect(valuesOf({ name: 'new', before: { name: 'old' } })).toEqual({ oldValues: { name: 'old' }, newValues: { name: 'new' } });
  });
});
