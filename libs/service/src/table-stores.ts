import type { TableStore } from '@tenantry/contracts/stores/stores';
import type { Pool } from 'pg';
import { type After, readTablePage } from './table-page.js';

/** What is in a store of a tenant. */
export interface Holding {
  /** Rows that erasing removes or changes; those that somebody works on right now included. */
  found: number;
  /** Rows that stay. */
  kept: number;
}

/** Tables of a service's own schema as stores of tenants' data. Their SQL comes from the registry, never from a request. */
export class TableStores {
  constructor(private readonly pool: Pool) {}

  /** Idempotent; in one statement. */
  async erase(store: TableStore, tenantId: string): Promise<void> {
    if (store.method === 'deleted') {
      const free = store.busy === undefined ? '' : ` AND (${store.busy}) IS NOT TRUE`;
      await this.pool.query(`DELETE FROM ${store.name} WHERE (${store.rows})${free}`, [tenantId]);
    }
    if (store.method === 'emptied') {
      const changes = Object.entries(store.empty ?? {}).map(([column, value]) => `${column} = ${sqlOf(value)}`);
      await this.pool.query(`UPDATE ${store.name} SET ${changes.join(', ')} WHERE (${store.rows}) AND (${isFull(store)})`, [tenantId]);
    }
  }

  async look(store: TableStore, tenantId: string): Promise<Holding> {
    const { rows } = await this.pool.query<{ found: string; kept: string }>(queryOf(store), [tenantId]);
    return { found: Number(rows[0]?.found), kept: Number(rows[0]?.kept) };
  }

  /** A page of what is exported of the table. */
  async page(store: TableStore, tenantId: string, after: After): Promise<{ rows: Record<string, unknown>[]; next: After }> {
    if (store.exported === null) throw new Error(`${store.name} is not exported`);
    const source = { table: store.name, condition: store.rows, parameter: tenantId, ...store.exported };
    const { rows, next } = await readTablePage(this.pool, source, after);
    // Ours: no number in them is larger than JavaScript counts.
    return { rows: rows.map((row) => JSON.parse(row)), next };
  }
}

/** What is asked of the table; `$1` is the tenant's id. Stands in the certificate. */
export function queryOf(store: TableStore): string {
  const { name, method, rows } = store;
  const left = method === 'kept' ? 'false' : method === 'emptied' ? isFull(store) : 'true';
  return `SELECT count(*) FILTER (WHERE ${left}) AS found, count(*) FILTER (WHERE NOT (${left})) AS kept FROM ${name} WHERE ${rows}`;
}

const sqlOf = (value: '' | null): string => (value === null ? 'NULL' : `''`);
/** Whether a row is not as it should be. */
const isFull = ({ empty }: TableStore): string =>
  Object.entries(empty ?? {})
    .map(([column, value]) => `${column} IS DISTINCT FROM ${sqlOf(value)}`)
    .join(' OR ');
