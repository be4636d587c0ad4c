import { createCipheriv, createDecipheriv, createHmac, randomFillSync } from 'node:crypto';
import type { Encrypted } from '@tenantry/contracts/events';
import type { DataKey } from './keyring.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
// First byte of what is encrypted: how to turn the rest back into a value.
const TEXT = 0;
const JSON_VALUE = 1;

/** What ciphertext is bound to: it decrypts nowhere else. */
export interface Binding {
  tenantId: string;
  subject: string;
  /** What the value is for. Personal data everywhere: `data`. */
  purpose?: string;
}

// JSON of an array is unambiguous: no subject can be chosen so that two bindings read the same.
const associated = ({ tenantId, subject, purpose = 'data' }: Binding) => Buffer.from(JSON.stringify([tenantId, subject, purpose]));

// Random bytes in blocks: one system call for 340 nonces.
const pool = Buffer.allocUnsafe(NONCE_BYTES * 340);
let used = pool.length;
function nextNonce(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const nonce = Buffer.from(pool.subarray(used, used + NONCE_BYTES));
  used += NONCE_BYTES;
  return nonce;
}

/** AES-256-GCM: nonce ‖ ciphertext ‖ tag. `key` has 32 bytes. */
export function sealBytes(key: Buffer, clear: Buffer, aad: Buffer): Buffer {
  const nonce = nextNonce();
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(aad);
  return Buffer.concat([nonce, cipher.update(clear), cipher.final(), cipher.getAuthTag()]);
}

/** The opposite of `sealBytes`. @throws Error when key, associated data or a byte is another one */
export function openBytes(key: Buffer, sealed: Buffer, aad: Buffer): Buffer {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new Error('ciphertext is too short');
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES)), decipher.final()]);
}

/**
 * The same bytes in memory of their own. Node cuts small buffers out of shared blocks of some 64 KiB, and one of them that is kept keeps all of its block.
 */
export function ownBytes(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}

/** Encrypts a JSON value: `{enc: "<key id>:<base64 of nonce ‖ ciphertext ‖ tag>"}`. Text stays text; anything else travels as JSON. */
export function seal(key: DataKey, binding: Binding, value: unknown): Encrypted {
  const text = typeof value === 'string';
  const clear = Buffer.from(text ? `\0${value}` : `\u0001${JSON.stringify(value)}`);
  return { enc: `${key.id}:${sealBytes(key.key, clear, associated(binding)).toString('base64')}` };
}

/** The value that `seal` got. @throws Error when it was made with another key or for another tenant, subject or purpose */
export function open(key: DataKey, binding: Binding, value: Encrypted): unknown {
  const sealed = Buffer.from(value.enc.slice(value.enc.lastIndexOf(':') + 1), 'base64');
  const clear = openBytes(key.key, sealed, associated(binding));
  const text = clear.toString('utf8', 1);
  if (clear[0] === TEXT) return text;
  if (clear[0] === JSON_VALUE) return JSON.parse(text);
  throw new Error('ciphertext is of an unknown form');
}

/** `<tenant id>/<subject>/<version>` */
export const keyId = (tenantId: string, subject: string, version: number): string => `${tenantId}/${subject}/${version}`;

/** What stands before the colon of an encrypted value, taken apart. @throws Error when it is none */
export function parseKeyId(value: Encrypted): NamedVersion & { id: string } {
  const match = /^([^:]+):[^:]*$/.exec(value.enc);
  if (!match) throw new Error('not an encrypted value');
  const id = match[1] as string;
  return { id, ...namedVersion(id) };
}

interface NamedVersion {
  tenantId: string;
  subject: string;
  version: number;
}
/** An id of a key, taken apart. @throws Error when it is none */
export function namedVersion(id: string): NamedVersion {
  const match = /^([^/:]+)\/([^:]+)\/([0-9]{1,9})$/.exec(id);
  if (!match) throw new Error('not the id of a key');
  return { tenantId: match[1] as string, subject: match[2] as string, version: Number(match[3]) };
}

export const isEncrypted = (value: unknown): value is Encrypted =>
  typeof value === 'object' && value !== null && 'enc' in value && typeof value.enc === 'string';

/** HMAC-SHA-256 (hex) of a text for a purpose. The purpose is part of the input, so one key can serve several. */
export const hmacWith = (key: DataKey, purpose: string, text: string): string =>
  createHmac('sha256', key.key).update(purpose).update('\0').update(text).digest('hex');

/** The subject whose data key makes the HMACs of a purpose: `requests` for `requests`, `index` for all others. */
export const hmacSubject = (purpose: string): string => (purpose === 'requests' ? 'requests' : 'index');

/**
 * Whether a subject gets another key when its tenant's is rotated. HMACs have to come out the same for ever, or nothing would be found again;
 * an export is one set of files, and what it was sealed with is asked for by its subject.
 */
export const isRotated = (subject: string): boolean => subject !== 'requests' && subject !== 'index' && !subject.startsWith('export-');
