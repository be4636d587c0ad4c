import { isEncrypted, open, parseKeyId } from './envelope.js';
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
 * All keys come with one request, however many data subjects and versions there are.
 * @param hidden ciphertexts that stay as they are
 */
export async function revealed<T>(keyring: Keyring, tenantId: string, value: T, hidden: ReadonlySet<string> = new Set()): Promise<T> {
  const found = new Set<string>();
  eachEncrypted(value, (enc) => {
    if (!hidden.has(enc)) found.add(enc);
  });
  if (found.size === 0) return value;
  return replaced(value, await openedWith(keyring, tenantId, found, null)) as T;
}

/** Ciphertexts with what they say. Another tenant's, and those whose key was destroyed, have `instead`; without it they are left out. */
export async function openedWith(
  keyring: Keyring,
  tenantId: string,
  ciphertexts: Iterable<string>,
  instead?: null,
): Promise<Map<string, unknown>> {
  const named = [...new Set(ciphertexts)].map((enc) => ({ enc, ...parseKeyId({ enc }) }));
  const own = new Set(named.flatMap(({ id, tenantId: owner }) => (owner === tenantId ? [id] : [])));
  const keys = own.size > 0 ? await keyring.opening(tenantId, [...own]) : new Map<string, never>();
  const clear = new Map<string, unknown>();
  for (const { enc, id, subject } of named) {
    const key = own.has(id) ? keys.get(id) : undefined;
    if (key) clear.set(enc, open(key, { tenantId, subject }, { enc }));
    else if (instead !== undefined) clear.set(enc, instead);
  }
  return clear;
}
