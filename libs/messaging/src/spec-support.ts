import { readFile } from 'node:fs/promises';
import { DomainError } from '@tenantry/contracts/errors';
import { tenantKey } from '@tenantry/contracts/ids';
import type { Placement } from '@tenantry/tenancy/placement';
import { Tenants, type TenantTransaction } from '@tenantry/tenancy/tenants';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';

const migrationsOf = (path: string) => readFile(new URL(`../migrations/${path}`, import.meta.url), 'utf8');

/** For specs: the migrations of this lib in a schema of its own, and whatever tables the spec needs in it. */
export async function createServiceSchema(pool: pg.Pool, schema: string, tables = ''): Promise<void> {
  const files = await Promise.all(['0001_messaging.sql', '0002_operators.sql'].map(migrationsOf));
  const messaging = files.join(';').replaceAll(':schema', schema);
  await pool.query('CREATE SCHEMA IF NOT EXISTS tenancy; CREATE TABLE IF NOT EXISTS tenancy.erased (tenant_id uuid PRIMARY KEY)');
  await pool.query(`CREATE SCHEMA ${schema}; ${messaging}; SET search_path TO ${schema}; ${tables}; RESET search_path`);
}

/** For specs: a tenant's place is a schema `t_<key>` of one database, without roles and policies. */
export class SchemaTenants extends Tenants {
  private readonly places = new Map<string, Placement>();
  /** How many transactions were begun. */
  transactions = 0;

  constructor(
    private readonly pool: pg.Pool,
    private readonly tables = '',
  ) {
    super();
  }

  async place(tenantId: string): Promise<void> {
    const schema = `t_${tenantKey(tenantId)}`;
    const checkpoints = await migrationsOf('tenant/0001_checkpoints.sql');
    await this.pool.query(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}; ${checkpoints}; ${this.tables}; RESET search_path`);
    this.places.set(tenantId, {
      tenantId,
      isolation: 'dedicated',
      server: 'main',
      database: 'postgres',
      schema,
      appSchema: `app_${tenantKey(tenantId)}`,
      role: schema,
      generation: 1,
      workerGroup: 'shared',
      ready: true,
    });
  }

  override async withTenant<T>(tenantId: string, work: (tx: TenantTransaction) => Promise<T>): Promise<T> {
    const placement = this.places.get(tenantId);
    if (!placement) throw new DomainError('placement.not_found');
    this.transactions += 1;
    const client = await this.pool.connect();
    try {
      await client.query(`BEGIN; SET LOCAL search_path TO ${placement.schema}`);
      const result = await work({ client, db: drizzle(client), placement });
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }

  /** To another place, in which there is nothing yet. */
  async move(tenantId: string, table: string): Promise<void> {
    const placement = this.places.get(tenantId) as Placement;
    this.places.set(tenantId, { ...placement, generation: placement.generation + 1 });
    await this.pool.query(`TRUNCATE ${placement.schema}.checkpoints, ${placement.schema}.${table}`);
    await this.pool.query('INSERT INTO tenancy.placements VALUES ($1, $2) ON CONFLICT (tenant_id) DO UPDATE SET generation = $2', [
      tenantId,
      placement.generation + 1,
    ]);
  }

  override async placement(tenantId: string): Promise<Placement | null> {
    return this.places.get(tenantId) ?? null;
  }
  override async close(): Promise<void> {}
}
