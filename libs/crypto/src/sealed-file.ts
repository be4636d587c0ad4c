import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * A file under AES-256-GCM as a stream: nonce ‖ ciphertext ‖ tag. `name` is bound to it, so that files of one export can't be swapped.
 * At most 64 GiB.
 */
export async function* sealFile(key: Buffer, name: string, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(name));
  yield nonce;
  for await (const chunk of content) if (chunk.length > 0) yield cipher.update(chunk);
  yield Buffer.concat([cipher.final(), cipher.getAuthTag()]);
}

/**
 * The opposite, as it comes. What was given out is only worth something once the whole was read without an error.
 * @throws Error at the end, when key, name or a byte is another one
 */
export async function* openFile(key: Buffer, name: string, sealed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  let decipher: ReturnType<typeof createDecipheriv> | undefined;
  for await (const chunk of sealed) {
    held = Buffer.concat([held, chunk]);
    if (!decipher && held.length >= NONCE_BYTES) {
      decipher = createDecipheriv('aes-256-gcm', key, held.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      (decipher as unknown as { setAAD(aad: Buffer): void }).setAAD(Buffer.from(name));
      held = held.subarray(NONCE_BYTES);
    }
    // The last bytes may be the tag.
    if (decipher && held.length > TAG_BYTES) {
      yield decipher.update(held.subarray(0, held.length - TAG_BYTES));
      held = held.subarray(held.length - TAG_BYTES);
    }
  }
  if (!decipher || held.length !== TAG_BYTES) throw new Error(`${name} is not whole`);
  (decipher as unknown as { setAuthTag(tag: Buffer): void }).setAuthTag(held);
  try {
    decipher.final(); // a stream cipher has nothing left to give but its verdict
  } catch (error) {
    throw new Error(`${name} was changed, or the key is another one`, { cause: error });
  }
}
