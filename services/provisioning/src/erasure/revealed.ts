import { isEncrypted } from '@tenantry/crypto/envelope';
import type { Keyring } from '@tenantry/crypto/keyring';
import { openedWith } from '@tenantry/crypto/revealed';

/** Some columns hold only what stands in `{enc}`. */
const bare = (tenantId: string, text: string): boolean =>
  text.startsWith(`${tenantId}/`) && /^[^/:]+\/[^:]+\/\d+:[A-Za-z0-9+/=]+$/.test(text);

/** Values of one tenant, with everything that is encrypted in them in clear. What was destroyed stays as it is. */
export async function revealed<T>(keyring: Keyring, tenantId: string, values: T[]): Promise<T[]> {
  const found = new Set<string>();
  walk(values, tenantId, (enc) => {
    found.add(enc);
    return enc;
  });
  const clear = await openedWith(keyring, tenantId, found);
  return walk(values, tenantId, (enc, whole) => (clear.has(enc) ? clear.get(enc) : whole)) as T[];
}

/** A copy in which each encrypted value is what `change` says. */
function walk(value: unknown, tenantId: string, change: (enc: string, whole: unknown) => unknown): unknown {
  if (typeof value === 'string') return bare(tenantId, value) ? change(value, value) : value;
  if (isEncrypted(value)) return change(value.enc, value);
  if (Array.isArray(value)) return value.map((item) => walk(item, tenantId, change));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item, tenantId, change)]));
  return value;
}
