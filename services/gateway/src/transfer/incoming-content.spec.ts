import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '@tenantry/contracts/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IncomingContent, type IncomingContentOptions } from './incoming-content.js';

let server: Server;
beforeAll(async () => {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** A client that sends what the test has it send, and what arrives of it. */
async function opened(options: Partial<IncomingContentOptions> = {}) {
  const client = request({ port: (server.address() as AddressInfo).port, method: 'PUT' });
  client.on('error', () => undefined);
  const arrived = once(server, 'request') as Promise<[IncomingMessage]>;
  client.flushHeaders();
  const [raw] = await arrived;
  return { client, raw, content: new IncomingContent(raw, { stillAllowed: async () => undefined, ...options }) };
}
const reader = 'one';

describe('a content on its way', () => {
  it('is read part by part to its end', async () => {
    const { client, content } = await opened();
    const sent = Buffer.alloc(2_000_000, 'abcdefg');
    client.end(sent);
    const parts: Buffer[] = [];
    for (let offset = 0, end = false; !end; ) {
      const part = await content.read(reader, offset);
      expect(part.content.length).toBeLessThanOrEqual(560_000);
      parts.push(part.content);
      offset += part.content.length;
      end = part.end;
    }
    expect(Buffer.concat(parts).equals(sent)).toBe(true);
    content.end();
  });

  it('waits for its reader: no more is taken from the client than fits in between', async () => {
    const { client, raw, content } = await opened();
    let sent = 0;
    const fill = () => {
      while (sent < 64_000_000 && client.write(Buffer.alloc(64_000))) sent += 64_000;
      if (sent < 64_000_000) client.once('drain', fill);
    };
    fill();
    await sleep(300);
    expect(raw.readableLength).toBeLessThan(400_000);
    expect(sent).toBeLessThan(40_000_000);
    content.end();
    client.destroy();
  });

  it('gives the same part again to a reader that got no answer', async () => {
    const { client, content } = await opened();
    client.write('first');
    const [one, other] = await Promise.all([content.read(reader, 0), content.read(reader, 0)]);
    expect([one.content.toString(), other.content.toString(), one.end]).toEqual(['first', 'first', false]);
    expect((await content.read(reader, 0)).content.toString()).toBe('first');
    client.end('second');
    const last = await content.read(reader, 5);
    expect([last.content.toString(), last.end]).toEqual(['second', true]);
    expect(await content.read(reader, 5)).toEqual(last);
    content.end();
  });

  it('says that nothing has come yet, and goes on', async () => {
    const { client, content } = await opened();
    expect(await content.read(reader, 0)).toMatchObject({ content: Buffer.alloc(0), end: false });
    client.end();
    expect(await content.read(reader, 0)).toMatchObject({ content: Buffer.alloc(0), end: true });
    content.end();
  });

  it('ends for everybody where a second reader comes, or one that skips', async () => {
    for (const [other, offset] of [
      ['two', 0],
      [reader, 3],
    ] as const) {
      const { client, content } = await opened();
      client.write('x');
      await content.read(reader, 0);
      await expect(content.read(other, offset)).rejects.toMatchObject({ code: 'service.unavailable' });
      await expect(content.read(reader, 1)).rejects.toMatchObject({ code: 'service.unavailable' });
      await expect(content.ended).rejects.toMatchObject({ code: 'service.unavailable' });
      client.destroy();
      content.end();
    }
  });

  it('ends where the client goes away', async () => {
    const { client, content } = await opened();
    client.write('x');
    await content.read(reader, 0);
    const next = content.read(reader, 1);
    client.destroy();
    await expect(next).rejects.toMatchObject({ code: 'request.malformed' });
    await expect(content.ended).rejects.toMatchObject({ code: 'request.malformed' });
    content.end();
  });

  it('ends where the client may not send any more', async () => {
    const { client, content } = await opened({
      stillAllowed: async () => {
        throw new DomainError('tenant.suspended');
      },
    });
    client.write('x');
    await expect(content.read(reader, 0)).rejects.toMatchObject({ code: 'tenant.suspended' });
    await expect(content.ended).rejects.toMatchObject({ code: 'tenant.suspended' });
    client.destroy();
    content.end();
  });

  it('ends where the client sends too slowly', async () => {
    const { client, content } = await opened({ slowMs: 1_500 });
    client.write('x');
    await content.read(reader, 0);
    await expect(content.read(reader, 1)).rejects.toMatchObject({ code: 'request.timeout' });
    client.destroy();
    content.end();
  });

  it('ends where nobody reads it', async () => {
    const { client, content } = await opened({ silentMs: 500 });
    client.write('x');
    await expect(content.ended).rejects.toMatchObject({ code: 'service.unavailable' });
    client.destroy();
    content.end();
  });
});
