import { invalidField } from '@tenantry/contracts/errors';
import { type AnyColumn, type SQL, sql } from 'drizzle-orm';

// As many digits as PostgreSQL takes for a number of microseconds.
const CURSOR = /^(-?\d{1,18})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/**
 * Pages of rows by a time, newest first; of equal times the ids decide. A cursor is the time of the last row seen in µs, exact, and its id.
 */
export const newestFirst = (time: AnyColumn, id: AnyColumn) => ({
  /** To be selected with each row, for `nextCursor`. */
  us: sql<string>`(extract(epoch FROM ${time}) * 1000000)::bigint::text`,
  order: [sql`${time} DESC`, sql`${id} DESC`],
  /** The rows behind a cursor. @throws DomainError `request.invalid` for one that was never given */
  after(cursor: string | undefined): SQL | undefined {
    if (cursor === undefined) return undefined;
    const [, us, last] = CURSOR.exec(cursor) ?? [];
    if (us === undefined || last === undefined) throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
    return sql`(${time}, ${id}) < (timestamptz 'epoch' + ${us}::bigint * interval '1 microsecond', ${last}::uuid)`;
  },
});

/** @param found one row more than the page has, where there are so many */
export function pageOf<R extends { us: string }>(
  found: R[],
  limit: number,
  idOf: (row: R) => string,
): { rows: R[]; nextCursor: string | null } {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return { rows, nextCursor: found.length > limit && last ? `${last.us}_${idOf(last)}` : null };
}
