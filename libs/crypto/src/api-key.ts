import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** `live` for everything real; `test` for sandboxes. Other words of a–z and 0–9 are possible. */
export type ApiKeyEnvironment = string;

export interface NewApiKey {
  /** Shown once: `tnt_<env>_<28 random characters><6 characters of checksum>`. */
  key: string;
  /** SHA-256 (hex) of the key: what is stored. The key has 166 random bits, so a slow hash would add nothing. */
  hash: string;
  /** The first characters, by which people recognize it in lists: `tnt_<env>_<4 random characters>`. */
  prefix: string;
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
// 28 characters of base 62 hold 166.7 bits.
const RANDOM_CHARACTERS = 28;
const CHECKSUM_CHARACTERS = 6;
const FORM = /^tnt_([a-z0-9]{1,16})_([0-9A-Za-z]{28})([0-9A-Za-z]{6})$/;

function randomText(length: number): string {
  let text = '';
  while (text.length < length) {
    // Bytes from 248 on are thrown away: 248 = 4 · 62, so every character is equally likely.
    for (const byte of randomBytes(length * 2)) {
      if (byte < 248 && text.length < length) text += ALPHABET[byte % 62];
    }
  }
  return text;
}

function checksum(text: string): string {
  let rest = createHash('sha256').update(text).digest().readUIntBE(0, 6);
  let result = '';
  for (let index = 0; index < CHECKSUM_CHARACTERS; index++) {
    result += ALPHABET[rest % 62];
    rest = Math.floor(rest / 62);
  }
  return result;
}

/** A new key. @throws RangeError when `environment` is not 1–16 characters of a–z and 0–9 */
export function createApiKey(environment: ApiKeyEnvironment): NewApiKey {
  if (!/^[a-z0-9]{1,16}$/.test(environment)) throw new RangeError('environment must be 1–16 characters of a–z and 0–9');
  const body = `tnt_${environment}_${randomText(RANDOM_CHARACTERS)}`;
  const key = body + checksum(body);
  return { key, hash: hashApiKey(key), prefix: key.slice(0, `tnt_${environment}_`.length + 4) };
}

/**
 * Whether a text has the form and the checksum of a key: tells typing errors and foreign secrets from keys
 * without a look-up. Says nothing about whether the key exists.
 */
export function parseApiKey(text: string): { environment: ApiKeyEnvironment; prefix: string } | null {
  const match = FORM.exec(text);
  if (!match) return null;
  const [, environment, random, sum] = match as unknown as [string, string, string, string];
  if (!timingSafeEqual(Buffer.from(checksum(`tnt_${environment}_${random}`)), Buffer.from(sum))) return null;
  return { environment, prefix: `tnt_${environment}_${random.slice(0, 4)}` };
}

/** SHA-256 (hex): how a key is stored and found. */
export const hashApiKey = (key: string): string => createHash('sha256').update(key).digest('hex');
