import { createHash, randomUUID } from 'node:crypto';

/** The log of platform-wide facts: plans, staff, bulk jobs. */
export const PLATFORM_LOG = '00000000-0000-0000-0000-000000000000';
/** The log of sign-ins and denials that belong to no tenant. */
export const PLATFORM_SECURITY_LOG = '00000000-0000-0000-0000-000000000001';

const NAMESPACE = '6f1d3c52-7c0e-5c0a-9d5e-1f5a8f3c2b77';

/** A random UUID (version 4). */
export const newId = (): string => randomUUID();

/** A name-based UUID (RFC 9562, version 5): the same parts always give the same id. */
export function derivedId(...parts: (string | number)[]): string {
  const hash = createHash('sha1')
    .update(Buffer.from(NAMESPACE.replaceAll('-', ''), 'hex'))
    .update(parts.map((part) => `${String(part).length}:${part}`).join(''))
    .digest()
    .subarray(0, 16);
  hash[6] = ((hash[6] as number) & 0x0f) | 0x50;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The short form of a tenant's id that names its schema, role and database: `t_<key>`. 26 hex digits would do; all 32 are kept, so that it can be turned back. */
export const tenantKey = (tenantId: string): string => tenantId.replaceAll('-', '');
