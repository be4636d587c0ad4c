import { createHash } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import { INSTANCE, keyOfA, serveHttp, TRANSFERS, tenantA, tenantB, weakKey } from '../http/http-server.fixture.js';

const { owners, life, request, ask, readUpload } = serveHttp();
const own = (key = 'a%2Fb.txt', of = tenantA) => `/api/tenants/${of}/files/${key}/content`;
const as = (key = keyOfA) => ({ authorization: `Bearer ${key}` });

/** The owner of files, which keeps one: it reads what is sent, and gives parts of what it has. */
function keeping(content = Buffer.alloc(0)) {
  const kept = { content, etag: '"1"' };
  owners.answer = async ({ route, input }) => {
    if (route === 'files.download') {
      const { offset, length } = input.query as { offset: number; length: number };
      const part = kept.content.subarray(offset, offset + length);
      return { status: 200, body: { bytes: kept.content.length, etag: kept.etag, content: part.toString('base64') } };
    }
    const { transferId } = input.body as { transferId: string };
    const parts: Buffer[] = [];
    for (let offset = 0, end = false; !end; ) {
      const part = await readUpload(transferId, 'reader', offset);
      parts.push(part.content);
      offset += part.content.length;
      end = part.end;
    }
    kept.content = Buffer.concat(parts);
    return { status: 200, body: { key: 'a/b.txt', bytes: kept.content.length, sha256: 'x' } };
  };
  return kept;
}
const bytes = Buffer.alloc(1_500_000, 'abcdefg');

describe('a file that is sent', () => {
  it('is read by its owner from this process, and nothing of it is read here', async () => {
    const kept = keeping();
    const sha256 = createHash('sha256').update(bytes).digest();
    const reply = await request(own(), {
      method: 'PUT',
      headers: { ...as(), 'content-type': 'image/png', 'content-digest': `sha-256=:${sha256.toString('base64')}:` },
      body: bytes,
    });
    expect([reply.status, await reply.json()]).toEqual([200, { key: 'a/b.txt', bytes: bytes.length, sha256: 'x' }]);
    expect(kept.content.equals(bytes)).toBe(true);
    expect(owners.forwarded).toMatchObject([
      {
        route: 'files.upload',
        input: {
          params: { tenantId: tenantA, key: 'a/b.txt' },
          body: { gateway: INSTANCE, bytes: bytes.length, sha256: sha256.toString('hex') },
        },
      },
    ]);
  });

  it('may have no length, or nothing in it', async () => {
    const kept = keeping();
    const chunks = new ReadableStream({
      start(to) {
        to.enqueue(bytes);
        to.close();
      },
    });
    const reply = await request(own(), { method: 'PUT', headers: as(), body: chunks, duplex: 'half' } as never);
    expect([reply.status, kept.content.length]).toEqual([200, bytes.length]);
    expect(owners.forwarded[0]?.input.body).toMatchObject({ bytes: null });
    expect((await request(own(), { method: 'PUT', headers: as() })).status).toBe(200);
    expect(kept.content.length).toBe(0);
    expect(owners.forwarded[1]?.input.body).toMatchObject({ bytes: 0 });
  });

  it('is refused for who asks before any of it is read', async () => {
    keeping();
    const put = (path: string, key: string) => request(path, { method: 'PUT', headers: as(key), body: bytes });
    expect((await put(own('x', tenantB), keyOfA)).status).toBe(404);
    expect((await put(own(), weakKey)).status).toBe(403);
    expect((await put(`${own()}?x=1`, keyOfA)).status).toBe(400);
    expect(owners.forwarded).toEqual([]);
  });

  it('is refused as the owner refuses it, whatever is still to come', async () => {
    owners.answer = () => {
      throw new DomainError('quota.exceeded', { detail: 'no room' });
    };
    const reply = await request(own(), { method: 'PUT', headers: as(), body: bytes });
    expect([reply.status, ((await reply.json()) as { code: string }).code]).toEqual([429, 'quota.exceeded']);
  });

  it('waits for no other: beyond a few of the tenant the next is refused, and other requests are not', async () => {
    const { promise: held, resolve } = Promise.withResolvers<void>();
    owners.answer = async () => {
      await held;
      return { status: 200, body: { key: 'x', bytes: 0, sha256: 'x' } };
    };
    const put = () => request(own(), { method: 'PUT', headers: as() });
    const first = Array.from({ length: TRANSFERS }, put);
    await expect.poll(() => owners.forwarded.length).toBe(TRANSFERS);
    const next = await put();
    expect([next.status, ((await next.json()) as { code: string }).code]).toEqual([429, 'tenant.busy']);
    resolve();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await put()).status).toBe(200);
  });
});

describe('a file that is asked for', () => {
  const get = async (headers: Record<string, string> = {}, method = 'GET') => {
    const reply = await request(own(), { method, headers: { ...as(), ...headers } });
    return { status: reply.status, headers: reply.headers, content: Buffer.from(await reply.arrayBuffer()) };
  };

  it('comes part by part, to be saved and not shown', async () => {
    keeping(bytes);
    const reply = await get();
    expect([reply.status, reply.content.equals(bytes)]).toEqual([200, true]);
    expect(Object.fromEntries(reply.headers)).toMatchObject({
      ...{ etag: '"1"', 'accept-ranges': 'bytes', 'content-length': String(bytes.length), 'content-type': 'text/plain' },
      'content-disposition': `attachment; filename="b.txt"; filename*=UTF-8''b.txt`,
      'x-content-type-options': 'nosniff',
    });
    const lengths = owners.forwarded.map(({ input }) => (input.query as unknown as { length: number }).length);
    expect(lengths).toEqual([0, 524_288, 524_288, bytes.length - 2 * 524_288]);
  });

  it('comes in the range that is asked for, or not where there is none', async () => {
    keeping(bytes);
    const part = await get({ range: 'bytes=10-19' });
    expect([part.status, part.headers.get('content-range'), part.content.toString()]).toEqual([
      ...[206, `bytes 10-19/${bytes.length}`, bytes.subarray(10, 20).toString()],
    ]);
    const beyond = await get({ range: `bytes=${bytes.length}-` });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${bytes.length}`]);
    expect((await get({ range: 'bytes=0-1', 'if-range': '"0"' })).status).toBe(200);
    expect((await get({ range: 'bytes=0-1', 'if-range': '"1"' })).status).toBe(206);
    expect((await get({ 'if-none-match': '"1"' })).status).toBe(304);
    expect([(await get({ 'if-match': '"0"' })).status, (await get({ 'if-match': '"0", "1"' })).status]).toEqual([412, 200]);
  });

  it('is only described to HEAD', async () => {
    keeping(bytes);
    const reply = await get({}, 'HEAD');
    expect([reply.status, reply.headers.get('content-length'), reply.content.length]).toEqual([200, String(bytes.length), 0]);
    expect(owners.forwarded).toHaveLength(1);
  });

  it('may be empty', async () => {
    keeping();
    const reply = await get();
    expect([reply.status, reply.headers.get('content-length')]).toEqual([200, '0']);
  });

  it('is broken off where it was replaced meanwhile: nobody gets half of one and half of another', async () => {
    const kept = keeping(bytes);
    const answer = owners.answer;
    owners.answer = async (forwarded) => {
      const answered = await answer(forwarded);
      if (owners.forwarded.length === 2) kept.etag = '"2"';
      return answered;
    };
    await expect(get()).rejects.toThrow();
  });

  it('is refused as its owner refuses it', async () => {
    owners.answer = () => {
      throw new DomainError('file.not_found');
    };
    expect((await ask('GET', own(), { key: keyOfA })).json.code).toBe('file.not_found');
    life.set(tenantA, ['TenantSuspended']);
    expect((await ask('GET', own(), { key: keyOfA })).status).toBe(403);
    life.delete(tenantA);
  });
});
