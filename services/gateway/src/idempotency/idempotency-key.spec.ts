import { DomainError } from '@tenantry/contracts/errors';
import { describe, expect, it, vi } from 'vitest';
import { type AskOptions, accepted, keyOfA, operationId, serveHttp, staffKey, tenantA } from '../http/http-server.fixture.js';

const { owners, firsts, ask, create } = serveHttp();

describe('an idempotency key', () => {
  let n = 0;
  const keyed = (body: unknown, key: string, more: AskOptions = {}) => create(body, { ...more, headers: { 'idempotency-key': key } });
  const newKey = () => `key-${n++}`;

  it('gives all of many equal requests at once the same answer, and does the work once', async () => {
    owners.answer = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return accepted();
    };
    const key = newKey();
    const replies = await Promise.all(Array.from({ length: 20 }, (_, at) => keyed(at % 2 ? { name: 'Acme' } : '{ "name" : "Acme" }', key)));
    expect(owners.forwarded).toHaveLength(1);
    expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(replies.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(19);
    for (const { headers } of replies) expect(headers.get('location')).toBe(`/api/v1/platform/operations/${operationId}`);
  });
  it('cannot be kept while our own database is away: that is no fault of the request', async () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    const claim = vi.spyOn(firsts, 'claim').mockRejectedValueOnce(reset);
    const reply = await keyed({ name: 'Acme' }, newKey());
    claim.mockRestore();
    expect(reply).toMatchObject({ status: 503, json: { code: 'service.unavailable' } });
    expect(reply.headers.get('retry-after')).toBe('1');
    expect(owners.forwarded).toEqual([]);
  });
  it('is refused with another request', async () => {
    const key = newKey();
    await keyed({ name: 'Acme' }, key);
    expect(await keyed({ name: 'Other' }, key)).toMatchObject({
      status: 422,
      json: { code: 'idempotency.mismatch', errors: [{ field: 'Idempotency-Key', rule: 'same_request' }] },
    });
  });
  it('is its own for each principal and operation', async () => {
    const key = newKey();
    const body = { resource_type: 'users' };
    owners.answer = () => ({ status: 200, body: { allowed: true, remaining: 1, used: 1 } });
    const increment = (who: string, path: string) => ask('POST', path, { key: who, body, headers: { 'idempotency-key': key } });
    await increment(staffKey, `/api/tenants/${tenantA}/usage/increment`);
    await increment(keyOfA, `/api/tenants/${tenantA}/usage/increment`);
    await increment(staffKey, `/api/tenants/${tenantA}/usage/release`);
    expect(new Set(owners.forwarded.map(({ command }) => command.id)).size).toBe(3);
  });
  it('keeps a refusal', async () => {
    const key = newKey();
    owners.answer = () => {
      throw new DomainError('tenant.slug_taken', { errors: [{ field: 'slug', rule: 'unique', message: 'is taken' }] });
    };
    const first = await keyed({ name: 'Acme', slug: 'acme' }, key);
    owners.answer = accepted;
    const again = await keyed({ name: 'Acme', slug: 'acme' }, key);
    expect(again).toMatchObject({ status: 409, text: first.text });
  });
  it.each(['service.unavailable', 'quota.exceeded', 'internal.error', 'service.timeout'] as const)('does not keep %s', async (code) => {
    const key = newKey();
    owners.answer = () => {
      throw new DomainError(code);
    };
    const first = await keyed({ name: 'Acme' }, key);
    owners.answer = accepted;
    expect(first.status).not.toBe(202);
    expect(await keyed({ name: 'Acme' }, key)).toMatchObject({ status: 202 });
  });
  it('shows a secret once', async () => {
    const key = newKey();
    owners.answer = () => ({ status: 201, body: { id: tenantA, key: 'tnt_live_secret' }, secret: true });
    const path = `/api/v1/platform/tenants/${tenantA}/api-keys`;
    const make = () => ask('POST', path, { body: { name: 'ci' }, headers: { 'idempotency-key': key } });
    expect(await make()).toMatchObject({ status: 201 });
    expect(await make()).toMatchObject({ status: 409, json: { code: 'idempotency.secret_already_shown' } });
  });
});
