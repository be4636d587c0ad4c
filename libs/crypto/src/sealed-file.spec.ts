import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openFile, sealFile } from './sealed-file.js';

const key = randomBytes(32);
async function* pieces(content: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}
const whole = async (stream: AsyncIterable<Buffer>) => {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
};

describe('a sealed file', () => {
  it.each([0, 1, 16, 5000])('of %i bytes comes back whole, whatever the pieces', async (bytes) => {
    const content = randomBytes(bytes);
    const sealed = await whole(sealFile(key, 'a', pieces(content, 7)));
    expect(sealed.length).toBe(bytes + 28);
    for (const size of [1, 13, 10_000]) expect(await whole(openFile(key, 'a', pieces(sealed, size)))).toEqual(content);
  });

  it('is refused under another name or key, changed, or cut short', async () => {
    const sealed = await whole(sealFile(key, 'a', pieces(randomBytes(100), 50)));
    const open = (of: Buffer, name = 'a', by = key) => whole(openFile(by, name, pieces(of, 64)));
    await expect(open(sealed, 'b')).rejects.toThrow('changed');
    await expect(open(sealed, 'a', randomBytes(32))).rejects.toThrow('changed');
    await expect(open(Buffer.concat([sealed.subarray(0, 40), Buffer.from([1]), sealed.subarray(41)]))).rejects.toThrow('changed');
    await expect(open(sealed.subarray(0, 90))).rejects.toThrow('changed');
    await expect(open(sealed.subarray(0, 20))).rejects.toThrow('not whole');
  });
});
