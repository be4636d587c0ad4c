import { beforeAll, describe, expect, it } from 'vitest';
import type { Api, Reply } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { eventsOf, PLATFORM, settled, unique } from '../harness/tenants.js';

let api: Api;
beforeAll(async () => {
  ({ api } = await sharedSystem());
});
const create = (body: unknown, headers?: Record<string, string>) => api.post(`${PLATFORM}/tenants`, body, headers);
const statuses = (replies: Reply[]) => replies.map((reply) => reply.status).sort();

describe('200 creations at once', () => {
  it('make 132 tenants: 130 plain, one for 50 with the same key, one for 20 with the same slug', async () => {
    const key = unique('key');
    const slug = unique('slug');
    const tag = unique('batch');
    const name = unique('Same');
    const [plain, keyed, slugged] = await Promise.all([
      Promise.all(
        Array.from({ length: 130 }, (_, n) =>
          create({ name: n % 2 ? `Plain ${tag} ${n}` : `Plain ${tag}`, isolation: 'shared', tags: [tag] }),
        ),
      ),
      Promise.all(Array.from({ length: 50 }, () => create({ name, isolation: 'shared', tags: [tag] }, { 'idempotency-key': key }))),
      Promise.all(Array.from({ length: 20 }, () => create({ name: 'Slug', slug, isolation: 'shared', tags: [tag] }))),
    ]);
    expect(new Set(statuses(plain))).toEqual(new Set([202]));
    expect(new Set(plain.map((reply) => reply.body.slug)).size).toBe(130);
    expect(new Set(keyed.map((reply) => `${reply.status} ${reply.text}`)).size).toBe(1);
    expect(keyed[0]?.status).toBe(202);
    expect(statuses(slugged)).toEqual([202, ...Array(19).fill(409)]);
    expect(slugged.find((reply) => reply.status === 409)?.body).toMatchObject({
      code: 'tenant.slug_taken',
      errors: [{ field: 'slug', rule: 'unique' }],
    });

    const ids = [
      ...new Set([...plain, ...keyed, ...slugged].filter((reply) => reply.status === 202).map((reply) => reply.body.id as string)),
    ];
    expect(ids).toHaveLength(132);
    const tenants = await Promise.all(ids.map((id) => settled(api, id, 120_000)));
    expect(new Set(tenants.map((tenant) => tenant.status))).toEqual(new Set(['active']));

    const logs = await Promise.all(ids.map((id) => eventsOf(api, id)));
    for (const events of logs) {
      expect(events.map((event) => event.position)).toEqual(events.map((_, position) => position));
      expect(events.filter((event) => event.type === 'TenantRegistered')).toHaveLength(1);
      expect(events.filter((event) => event.type === 'TenantActivated')).toHaveLength(1);
    }
    const listed: string[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await api.get(`${PLATFORM}/tenants?tag=${tag}&limit=50${cursor}`);
      listed.push(...body.items.map((item: any) => item.id));
      if (!body.nextCursor) break;
      cursor = `&cursor=${encodeURIComponent(body.nextCursor)}`;
    }
    expect(listed.sort()).toEqual(ids.sort());
  }, 180_000);
});

describe('one subdomain asked for by 20 at once', () => {
  it('goes to one of them', async () => {
    const value = unique('host');
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => create({ name: 'Host', isolation: 'shared', domain: { type: 'subdomain', value } })),
    );
    expect(statuses(replies)).toEqual([202, ...Array(19).fill(409)]);
    expect(replies.find((reply) => reply.status === 409)?.body).toMatchObject({
      code: 'domain.taken',
      errors: [{ field: 'domain', rule: 'unique' }],
    });
  });
});

describe('the same key with another body', () => {
  it('is refused', async () => {
    const headers = { 'idempotency-key': unique('key') };
    const name = unique('Key');
    expect((await create({ name, isolation: 'shared' }, headers)).status).toBe(202);
    expect(await create({ name: `${name} other`, isolation: 'shared' }, headers)).toMatchObject({
      status: 422,
      body: { code: 'idempotency.mismatch' },
    });
  });
});
