import { invalidField } from '@tenantry/contracts/errors';
import type { TenantSort, tenantSortColumns } from '@tenantry/contracts/tenant/bodies';
import { type SQL, sql } from 'drizzle-orm';
import type { z } from 'zod';
import { tenants } from './tenant-list.projection.js';

export type SortedBy = z.infer<typeof TenantSort>;
type Column = (typeof tenantSortColumns)[number];

/** What is compared, and as which type a cursor's text becomes it again. Nobody looks for names by their capitals. */
const orders: Record<Column, { by: SQL; type: SQL }> = {
  createdAt: { by: sql`${tenants.createdAt}`, type: sql`timestamptz` },
  updatedAt: { by: sql`${tenants.updatedAt}`, type: sql`timestamptz` },
  name: { by: sql`lower(${tenants.name})`, type: sql`text` },
  slug: { by: sql`${tenants.slug}`, type: sql`text` },
  status: { by: sql`${tenants.status}`, type: sql`text` },
  plan: { by: sql`${tenants.plan}`, type: sql`text` },
  priority: { by: sql`${tenants.priority}`, type: sql`integer` },
  region: { by: sql`${tenants.region}`, type: sql`text` },
  isolation: { by: sql`${tenants.isolation}`, type: sql`text` },
  domain: { by: sql`${tenants.domain}`, type: sql`text` },
  mrr: { by: sql`${tenants.mrrMinor}`, type: sql`bigint` },
};

const read = (sort: SortedBy) => {
  const down = sort.startsWith('-');
  return { down, ...orders[(down ? sort.slice(1) : sort) as Column] };
};

/** The sorted value of a row, as the text that its cursor holds. */
export const sortKey = (sort: SortedBy): SQL<string> => sql<string>`${read(sort).by}::text`;

/** Of equal values the ids decide, so that a page never shows a row twice. */
export function orderOf(sort: SortedBy): SQL[] {
  const { by, down } = read(sort);
  const direction = down ? sql`DESC` : sql`ASC`;
  return [sql`${by} ${direction}`, sql`${tenants.tenantId} ${direction}`];
}

/** Keyset pages: a cursor is the order, and the value and id of the last row seen. */
export const cursorOf = (sort: SortedBy, key: string, tenantId: string): string =>
  Buffer.from(JSON.stringify([sort, key, tenantId])).toString('base64url');

/** The rows behind a cursor. @throws DomainError `request.invalid` for one of another list or another order */
export function after(sort: SortedBy, cursor: string): SQL {
  const { by, type, down } = read(sort);
  const [key, tenantId] = decoded(sort, cursor);
  const last = sql`(${key}::${type}, ${tenantId}::uuid)`;
  return down ? sql`(${by}, ${tenants.tenantId}) < ${last}` : sql`(${by}, ${tenants.tenantId}) > ${last}`;
}

const numeric: ReadonlySet<Column> = new Set(['priority', 'mrr']);
const instants: ReadonlySet<Column> = new Set(['createdAt', 'updatedAt']);

function decoded(sort: SortedBy, cursor: string): [key: string, tenantId: string] {
  const refused = () => invalidField('cursor', 'cursor', 'must be the nextCursor of the page before, with the same sort');
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    throw refused();
  }
  if (!Array.isArray(parts) || parts.length !== 3 || parts.some((part) => typeof part !== 'string')) throw refused();
  const [of, key, tenantId] = parts as [string, string, string];
  const column = sort.replace(/^-/, '') as Column;
  if (of !== sort || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(tenantId)) throw refused();
  if (numeric.has(column) && !/^\d{1,9}$/.test(key)) throw refused();
  if (instants.has(column) && (!/^[0-9:. +-]{19,40}$/.test(key) || Number.isNaN(Date.parse(key)))) throw refused();
  // PostgreSQL takes every other character in a text.
  if (key.includes('\u0000')) throw refused();
  return [key, tenantId];
}
