import { DomainError } from '@tenantry/contracts/errors';
import { isEncrypted, parseKeyId } from './envelope.js';
import type { Keyring } from './keyring.js';

/** Calls `visit` with every `{enc}` in a JSON value. */
function eachEncrypted(value: unknown, visit: (enc: string) => void): void {
  if (isEncrypted(value)) visit(value.enc);
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) eachEncrypted(inner, visit);
}

function replaced(value: unknown, clear: ReadonlyMap<string, unknown>): unknown {
  if (isEncrypted(value)) return clear.has(value.enc) ? clear.get(value.enc) : value;
  if (Array.isArray(value)) return value.map((inner) => replaced(inner, clear));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replaced(inner, clear)]));
  return value;
}

/**
 * The JSON value with every `{enc}` in clear; null stands where the key was destroyed.
 * All keys come with one request, however many data subjects there are.
 * @param hidden ciphertexts that stay as they are
 */
export async function revealed<T>(keyring: Keyring, tenantId: string, value: T, hidden: ReadonlySet<string> = new Set()): Promise<T> {
  const found = new Set<string>();
  eachEncrypted(value, (enc) => {
    if (!hidden.has(enc)) found.add(enc);
  });
  if (found.size === 0) return value;
  const subjects = [...new Set([...found].map((enc) => parseKeyId({ enc }).subject))];
  // Where one of them was destroyed, each value finds out for itself.
  await ifNotDestroyed(keyring.keys(tenantId, subjects));
  const clear = new Map<string, unknown>();
  await Promise.all(
    [...found].map(async (enc) => clear.set(enc, (await ifNotDestroyed(keyring.reveal<unknown>(tenantId, { enc }))) ?? null)),
  );
  return replaced(value, clear) as T;
}

const ifNotDestroyed = <T>(work: Promise<T>): Promise<T | undefined> =>
  work.catch((error: unknown) => {
    if (error instanceof DomainError && error.code === 'keys.destroyed') return undefined;
    throw error;
  });
