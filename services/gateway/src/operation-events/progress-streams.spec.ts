import { DomainError } from '@tenantry/contracts/errors';
import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { createApiKey, hashApiKey } from '@tenantry/crypto/api-key';
import { describe, expect, it, vi } from 'vitest';
import { keyOfA, operationId, serveHttp, tenantA } from '../http/http-server.fixture.js';

const { owners, request, ask } = serveHttp();

describe('the progress of an operation', () => {
  const step = (name: 'register' | 'allocate', status: 'pending' | 'running' | 'succeeded') => ({
    name,
    status,
    attempt: 1,
    startedAt: null,
    durationMs: null,
    error: null,
  });
  const operation = (more: Partial<OperationView>): OperationView => ({
    id: operationId,
    type: 'provisioning',
    tenantId: tenantA,
    status: 'running',
    steps: [step('register', 'succeeded'), step('allocate', 'pending')],
    error: null,
    createdAt: '2026-01-01T00:00:00Z',
    finishedAt: null,
    ...more,
  });
  it('is a stream of steps that ends when it is done', async () => {
    let reads = 0;
    owners.answer = () => ({
      status: 200,
      body:
        reads++ < 2
          ? operation({})
          : operation({
              status: 'succeeded',
              steps: [step('register', 'succeeded'), step('allocate', 'succeeded')],
              finishedAt: '2026-01-01T00:00:01Z',
            }),
    });
    const { status, headers, text } = await ask('GET', `/api/v1/platform/operations/${operationId}/events`);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = [...text.matchAll(/event: (\w+)\ndata: (.*)\n/g)].map(
      ([, event, data]) => `${event} ${JSON.parse(data ?? '').name ?? JSON.parse(data ?? '').status}`,
    );
    expect(events).toEqual(['step register', 'step allocate', 'done succeeded']);
  });
  it('is shown to nobody whose key was revoked meanwhile', async () => {
    const { key } = createApiKey('live');
    owners.principals.set(hashApiKey(key), { kind: 'staff', id: 'leaver', permissions: ['operation:read'] });
    let reads = 0;
    owners.answer = () => ({ status: 200, body: operation({ steps: [{ ...step('register', 'running'), attempt: ++reads }] }) });
    const abort = AbortSignal.timeout(8_000);
    const stream = await request(`/api/v1/platform/operations/${operationId}/events`, {
      headers: { authorization: `Bearer ${key}` },
      signal: abort,
    });
    expect(stream.status).toBe(200);
    owners.principals.delete(hashApiKey(key));
    const text = await stream.text();
    expect(text).toContain('event: step');
    expect(text).not.toContain('event: done');
    expect(reads).toBeLessThan(4);
  });
  it('goes on while it is not known whether it may', async () => {
    const { key } = createApiKey('live');
    owners.principals.set(hashApiKey(key), { kind: 'staff', id: 'patient', permissions: ['operation:read'] });
    let reads = 0;
    owners.answer = () => ({
      status: 200,
      body: operation(reads++ < 3 ? {} : { status: 'succeeded', finishedAt: '2026-01-01T00:00:01Z' }),
    });
    const stream = await request(`/api/v1/platform/operations/${operationId}/events`, { headers: { authorization: `Bearer ${key}` } });
    const asked = vi.spyOn(owners, 'call').mockRejectedValueOnce(new DomainError('service.unavailable'));
    expect(await stream.text()).toContain('event: done');
    expect(asked).toHaveBeenCalled();
    asked.mockRestore();
  });
  it('of an unknown operation is a problem', async () => {
    owners.answer = () => {
      throw new DomainError('operation.not_found');
    };
    expect(await ask('GET', `/api/v1/platform/operations/${operationId}/events`)).toMatchObject({
      status: 404,
      json: { code: 'operation.not_found' },
    });
    expect(await ask('GET', `/api/v1/platform/operations/${operationId}/events`, { key: keyOfA })).toMatchObject({ status: 403 });
  });
});
