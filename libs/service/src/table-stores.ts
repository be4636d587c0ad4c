import type { TableStore } from '@tenantry/contracts/stores/stores';
import type { Pool } from 'pg';
import { readTablePage, type TablePage } from './table-page.js';

/** Tables of a service's own schema as stores of tenants' data. Their SQL comes from the registry, never from a request. */
export class TableStores {
  constructor(private readonly pool: Pool) {}

  /** Idempotent; in one statement. */
  async erase(store: TableStore, tenantId: string): Promise<void> {
    if (store.method === 'deleted') await this.pool.query(`DELETE FROM ${store.name} WHERE ${store.rows}`, [tenantId]);
    if (store.method === 'emptied') {
      const changes = Object.entries(store.empty ?? {}).map(([column, value]) => `${column} = ${value}`);
      await this.pool.query(`UPDATE ${store.name} SET ${changes.join(', ')} WHERE ${remaining(store)}`, [tenantId]);
    }
  }

  /** Rows that erasing would remove or change; none of a table that is kept. */
  async count(store: TableStore, tenantId: string): Promise<number> {
    if (store.method !== 'deleted' && store.method !== 'emptied') return 0;
    const { rows } = await this.pool.query<{ found: string }>(`SELECT count(*) AS found FROM ${store.name} WHERE ${remaining(store)}`, [
      tenantId,
    ]);
    return Number(rows[0]?.found);
  }

  /** A page of what is exported of the table. */
  page(store: TableStore, tenantId: string, after: unknown): Promise<TablePage> {
    if (store.exported === null) throw new Error(`${store.name} is not exported`);
    return readTablePage(this.pool, { table: store.name, condition: store.rows, parameter: tenantId, ...store.exported }, after);
  }
}

/** The tenant's rows that are not as they should be. */
const remaining = ({ rows, method, empty }: TableStore): string =>
  method === 'emptied'
    ? `(${rows}) AND (${Object.entries(empty ?? {})
        .map(([column, value]) => `${column} IS DISTINCT FROM ${value}`)
        .join(' OR ')})`
    : rows;
