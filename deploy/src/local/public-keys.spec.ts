import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PublicKeysCopy } from './public-keys.js';

const keys = '{"keys":[]}';
let folder: string;
let gateway: Server;
let answers: number[];
let url: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantry-keys-'));
  answers = [];
  gateway = createServer((_, reply) => reply.writeHead(answers.shift() ?? 200).end(keys));
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
});
afterEach(async () => {
  gateway.close();
  gateway.closeAllConnections();
  await rm(folder, { recursive: true });
});

describe('the copy of the public keys', () => {
  it('is waited for while the gateway, or what it needs, is on its way back', async () => {
    answers = [500, 503];
    const file = join(folder, 'jwks.json');
    const copy = new PublicKeysCopy(file, () => undefined);
    await copy.start(url);
    expect(await readFile(file, 'utf8')).toBe(keys);
    expect(answers).toEqual([]);
    await copy.stop();
  });
});
