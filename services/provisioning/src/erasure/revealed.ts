import { DomainError } from '@tenantry/contracts/errors';
import { isEncrypted, parseKeyId } from '@tenantry/crypto/envelope';
import type { Keyring } from '@tenantry/crypto/keyring';

/** Some columns hold only what stands in `{enc}`. */
const bare = (tenantId: string, text: string): boolean =>
  text.startsWith(`${tenantId}/`) && /^[^/:]+\/[^:]+\/\d+:[A-Za-z0-9+/=]+$/.test(text);

const KEYS_AT_ONCE = 100;

/** Values of one tenant, with everything that is encrypted in them in clear. What was destroyed stays as it is. */
export async function revealed<T>(keyring: Keyring, tenantId: string, values: T[]): Promise<T[]> {
  const subjects = new Set<string>();
  walk(values, tenantId, (enc) => {
    subjects.add(parseKeyId({ enc }).subject);
    return enc;
  });
  const destroyed = await destroyedOf(keyring, tenantId, [...subjects]);
  const clear = new Map<string, unknown>();
  const found: string[] = [];
  walk(values, tenantId, (enc) => {
    if (!destroyed.has(parseKeyId({ enc }).subject)) found.push(enc);
    return enc;
  });
  // The keys are in the cache: no value waits for another process.
  await Promise.all(found.map(async (enc) => clear.set(enc, await keyring.reveal<unknown>(tenantId, { enc }))));
  return walk(values, tenantId, (enc, whole) => (clear.has(enc) ? clear.get(enc) : whole)) as T[];
}

/** Fetches the keys, many at once; those of which subjects are gone. */
async function destroyedOf(keyring: Keyring, tenantId: string, subjects: string[]): Promise<Set<string>> {
  const destroyed: string[] = [];
  for (let at = 0; at < subjects.length; at += KEYS_AT_ONCE) {
    const some = subjects.slice(at, at + KEYS_AT_ONCE);
    try {
      await keyring.keys(tenantId, some);
    } catch (error) {
      if (!isDestroyed(error)) throw error;
      if (some.length === 1) destroyed.push(...some);
      else for (const ones of await Promise.all(some.map((subject) => destroyedOf(keyring, tenantId, [subject])))) destroyed.push(...ones);
    }
  }
  return new Set(destroyed);
}
const isDestroyed = (error: unknown) => error instanceof DomainError && error.code === 'keys.destroyed';

/** A copy in which each encrypted value is what `change` says. */
function walk(value: unknown, tenantId: string, change: (enc: string, whole: unknown) => unknown): unknown {
  if (typeof value === 'string') return bare(tenantId, value) ? change(value, value) : value;
  if (isEncrypted(value)) return change(value.enc, value);
  if (Array.isArray(value)) return value.map((item) => walk(item, tenantId, change));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item, tenantId, change)]));
  return value;
}
