import { invalidField } from '@tenantry/contracts/errors';
import type { TenantSort, tenantSortColumns } from '@tenantry/contracts/tenant/bodies';
import { type SQL, sql } from 'drizzle-orm';
import { z } from 'zod';
import { figures, tenants } from './tenant-list.projection.js';

export type SortedBy = z.infer<typeof TenantSort>;
type Column = (typeof tenantSortColumns)[number];

/** Of tenants that have never been active, when they were created: then the order goes on. */
const lastActivity = sql`coalesce(greatest(${tenants.changedAt}, ${figures.usedAt}), ${tenants.createdAt})`;
/** As the contract says. `usage` is null without limits. */
export const healthScore = sql<number>`greatest(0, 100
  - CASE ${tenants.status} WHEN 'failed' THEN 60 WHEN 'suspended' THEN 25 ELSE 0 END
  - CASE WHEN ${figures.usagePercent} >= 100 THEN 60 WHEN ${figures.usagePercent} >= 80 THEN 25 ELSE 0 END
  - CASE WHEN ${figures.parked} > 0 THEN 25 ELSE 0 END
  - CASE WHEN ${tenants.failedOperation} IS NOT NULL THEN 25 ELSE 0 END)`;
export const healthStatus = (score: number) => (score >= 80 ? 'healthy' : score >= 50 ? 'warning' : 'critical');

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
  users: { by: sql`${tenants.users}`, type: sql`integer` },
  usage: { by: sql`coalesce(${figures.usagePercent}, 0)`, type: sql`numeric` },
  lastActivity: { by: lastActivity, type: sql`timestamptz` },
  health: { by: healthScore, type: sql`integer` },
};

const read = (sort: SortedBy) => {
  const down = sort.startsWith('-');
  return { down, ...orders[(down ? sort.slice(1) : sort) as Column] };
};

const ofFigures: ReadonlySet<Column> = new Set(['usage', 'lastActivity', 'health']);
export const needsFigures = (sort: SortedBy): boolean => ofFigures.has(sort.replace(/^-/, '') as Column);

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

const MAX_BIGINT = 2n ** 63n - 1n;
const isWhole = (key: string, max: bigint) => /^-?\d{1,19}$/.test(key) && BigInt(key) <= max && BigInt(key) >= -max;
const isInteger = (key: string) => isWhole(key, 2n ** 31n - 1n);
/** As PostgreSQL writes it: `Date.parse` takes days that there are not, and offsets that PostgreSQL doesn't take. */
const INSTANT = /^(\d{4}-\d\d-\d\d) ([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?[+-](0\d|1[0-5])(:[0-5]\d)?$/;
function isInstant(key: string): boolean {
  const [, day] = INSTANT.exec(key) ?? [];
  return day !== undefined && !day.startsWith('0000') && z.iso.date().safeParse(day).success;
}
/** Which texts the columns that aren't texts take. */
const readable: Partial<Record<Column, (key: string) => boolean>> = {
  ...{ createdAt: isInstant, updatedAt: isInstant, lastActivity: isInstant },
  ...{ priority: isInteger, users: isInteger, health: isInteger, mrr: (key) => isWhole(key, MAX_BIGINT) },
  usage: (key) => /^\d{1,40}(\.\d{1,40})?$/.test(key),
};

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
  if (readable[column]?.(key) === false) throw refused();
  // PostgreSQL takes every other character in a text.
  if (key.includes('\u0000')) throw refused();
  return [key, tenantId];
}
