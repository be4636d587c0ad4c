import { Injectable } from '@nestjs/common';
import type { CampaignFilter } from '@tenantry/contracts/platform/blueprints';
import type { Isolation } from '@tenantry/contracts/values';
import { Database } from '@tenantry/service/database';
import { CONTROL_PLANE_DATABASE, SHARED_APP_SCHEMA } from '@tenantry/tenancy/names';
import { DEFAULT_SERVER } from '@tenantry/tenancy/servers';
import type { NewItem } from '../job/job-handler.js';

/** Of those that have left meanwhile, for one time that somebody asks. */
const LEAVERS_AT_ONCE = 1_000;

/** A schema of the product that a campaign takes forward. */
export interface CampaignTarget {
  /** Null for `app_shared`. */
  tenantId: string | null;
  isolation: Isolation;
  server: string;
  database: string;
  appSchema: string;
  role: string;
  generation: number;
  /** By the ledger; 0 for nothing. */
  version: number;
  /** The ledger's checksum of that version is the version's. */
  isKnown: boolean;
}
/** Databases of two servers may have one name. A tenant's schema is known by the tenant; `app_shared` is not. */
export const targetName = ({
  tenantId,
  server,
  database,
  appSchema,
}: Pick<CampaignTarget, 'tenantId' | 'server' | 'database' | 'appSchema'>): string =>
  `${tenantId === null && server !== DEFAULT_SERVER ? `${server}/` : ''}${database}.${appSchema}`;

const columns = `p.tenant_id AS "tenantId", p.isolation, p.server, p.database, p.app_schema AS "appSchema", p.role, p.generation::int AS generation,
  coalesce(l.version, 0) AS version, l.version IS NULL OR coalesce(l.checksum = v.sha256, false) AS "isKnown"`;
const isHome = `(p.server = '${DEFAULT_SERVER}' AND p.database = '${CONTROL_PLANE_DATABASE}')`;
/** app_shared of the control plane's database is in the ledger there; those of others are copied apart, since all have that name. */
const ledger = `LEFT JOIN LATERAL (
    SELECT a.version, a.checksum FROM tenancy.app_ledger a WHERE a.app_schema = p.app_schema AND a.blueprint = $1 AND (p.isolation <> 'shared' OR ${isHome})
    UNION ALL SELECT s.version, s.checksum FROM tenancy.shared_ledger s
      WHERE p.isolation = 'shared' AND NOT ${isHome} AND s.server = p.server AND s.database = p.database AND s.blueprint = $1
    ORDER BY version DESC LIMIT 1) l ON true
  LEFT JOIN tenancy.blueprint_versions v ON v.blueprint = $1 AND v.version = l.version`;
/**
 * One place for all shared tenants of a database. A further database that takes them is one before anybody lives there, so that the first
 * doesn't find an older state than others have; one that is closed and empty is left alone.
 */
const sharedPlaces = `(SELECT NULL::uuid AS tenant_id, 'shared' AS isolation, d.server, d.name AS database, '${SHARED_APP_SCHEMA}' AS app_schema, d.shared_role AS role, 0 AS generation
  FROM tenancy.databases d WHERE d.shared_ready AND (d.login_secret IS NOT NULL AND 'shared' = ANY (d.accepts)
    OR EXISTS (SELECT FROM tenancy.placements o WHERE o.isolation = 'shared' AND o.server = d.server AND o.database = d.name)))`;

@Injectable()
export class CampaignTargets {
  constructor(private readonly database: Database) {}

  /** Schemas of tenants of their own, in an order that says nothing about them. */
  async own(blueprint: string, { tenantIds, isolation, status, plan, tag }: CampaignFilter): Promise<CampaignTarget[]> {
    const { rows } = await this.database.pool.query<CampaignTarget>(
      `SELECT ${columns} FROM tenancy.placements p ${ledger}
       WHERE p.ready AND p.isolation <> 'shared' AND ($2::uuid[] IS NULL OR p.tenant_id = ANY ($2)) AND ($3::text IS NULL OR p.isolation = $3)
         AND (($4::text IS NULL AND $5::text IS NULL AND $6::text IS NULL) OR EXISTS (
           SELECT FROM provisioning.tenants t WHERE t.tenant_id = p.tenant_id AND ($4::text IS NULL OR t.status = $4)
             AND ($5::text IS NULL OR t.plan = $5) AND ($6::text IS NULL OR t.tags ? $6)))
       ORDER BY p.tenant_id`,
      [blueprint, tenantIds ?? null, isolation ?? null, status ?? null, plan ?? null, tag ?? null],
    );
    return rows;
  }

  async shared(blueprint: string): Promise<CampaignTarget[]> {
    const { rows } = await this.database.pool.query<CampaignTarget>(
      `SELECT ${columns} FROM ${sharedPlaces} p ${ledger} ORDER BY p.server, p.database`,
      [blueprint],
    );
    return rows;
  }

  /** Those of items `from` … `from + count - 1` of a job, as they are now, by ordinal. */
  async ofItems(blueprint: string, operationId: string, from: number, count: number): Promise<Map<number, CampaignTarget>> {
    const items = 'i.operation_id = $2 AND i.ordinal >= $3 AND i.ordinal < $4';
    // Apart: joined by one condition or the other, each item would be held against every tenant.
    const { rows } = await this.database.pool.query<CampaignTarget & { ordinal: number }>(
      `SELECT i.ordinal, ${columns} FROM provisioning.job_items i
       JOIN tenancy.placements p ON p.tenant_id = i.tenant_id AND p.ready AND p.isolation <> 'shared' ${ledger} WHERE ${items}
       UNION ALL
       SELECT i.ordinal, ${columns} FROM provisioning.job_items i
       JOIN ${sharedPlaces} p ON CASE WHEN p.server = '${DEFAULT_SERVER}' THEN '' ELSE p.server || '/' END || p.database || '.' || p.app_schema = i.target
         ${ledger} WHERE ${items} AND i.tenant_id IS NULL`,
      [blueprint, operationId, from, from + count],
    );
    return new Map(rows.map(({ ordinal, ...target }) => [ordinal, target]));
  }

  /** Some schemas after `after` (a tenant's id), for a look at what is in them. */
  async page(blueprint: string, after: string | null, limit: number): Promise<CampaignTarget[]> {
    const { rows } = await this.database.pool.query<CampaignTarget>(
      `SELECT ${columns} FROM tenancy.placements p ${ledger}
       WHERE p.ready AND p.isolation <> 'shared' AND ($2::uuid IS NULL OR p.tenant_id > $2) ORDER BY p.tenant_id LIMIT $3`,
      [blueprint, after, limit],
    );
    return rows;
  }

  /** A campaign of the blueprint that has items left, other than `except`. */
  async running(blueprint: string, except: string): Promise<string | null> {
    const { rows } = await this.database.pool.query<{ operation_id: string }>(
      `SELECT c.operation_id FROM provisioning.campaigns c WHERE c.blueprint = $1 AND c.operation_id <> $2
       AND EXISTS (SELECT FROM provisioning.job_items i WHERE i.operation_id = c.operation_id AND i.status IN ('pending', 'running')) LIMIT 1`,
      [blueprint, except],
    );
    return rows[0]?.operation_id ?? null;
  }

  /**
   * Tenants that have left the shared tables since the campaign began, with an older version than they are to have. `waitMs`: for so long
   * another one may still be leaving with what the shared tables were before the campaign changed them.
   * @param switchMs for so long a switch may take, from its look at the shared tables to its commit
   */
  async leavers(
    blueprint: string,
    operationId: string,
    toVersion: number,
    switchMs: number,
  ): Promise<{ items: NewItem[]; waitMs: number }> {
    const { rows: changes } = await this.database.pool.query<{ wait_ms: number }>(
      `SELECT greatest(0, extract(epoch FROM max(i.due_at) - now()) * 1000 + $2)::float8 AS wait_ms FROM provisioning.job_items i
       WHERE i.operation_id = $1 AND i.tenant_id IS NULL
         AND EXISTS (SELECT FROM tenancy.placements p WHERE p.isolation = 'shared' AND p.next IS NOT NULL)
       HAVING count(*) > 0`,
      [operationId, switchMs],
    );
    // A minute: the switch says when it is decided, which is before others see it.
    const { rows } = await this.database.pool.query<Pick<CampaignTarget, 'tenantId' | 'server' | 'database' | 'appSchema'>>(
      `SELECT p.tenant_id AS "tenantId", p.server, p.database, p.app_schema AS "appSchema" FROM tenancy.placements p
         JOIN provisioning.campaigns c ON c.operation_id = $2 ${ledger}
       WHERE p.ready AND p.isolation <> 'shared' AND p.left_shared_at >= c.started_at - interval '1 minute' AND coalesce(l.version, 0) < $3
         AND (l.version > 0 OR EXISTS (SELECT FROM tenancy.blueprints b WHERE b.name = $1 AND b.status = 'active'))
         AND EXISTS (SELECT FROM provisioning.job_items i WHERE i.operation_id = $2 AND i.tenant_id IS NULL)
         AND NOT EXISTS (SELECT FROM provisioning.job_items i WHERE i.operation_id = $2 AND i.tenant_id = p.tenant_id AND i.status <> 'skipped')
       ORDER BY p.tenant_id LIMIT $4`,
      [blueprint, operationId, toVersion, LEAVERS_AT_ONCE],
    );
    return { items: rows.map((row) => ({ tenantId: row.tenantId, target: targetName(row) })), waitMs: changes[0]?.wait_ms ?? 0 };
  }

  /** Before its targets are looked up: who leaves the shared tables later is looked for at its end. */
  async note(blueprint: string, operationId: string): Promise<void> {
    await this.database.pool.query('INSERT INTO provisioning.campaigns (operation_id, blueprint) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
      operationId,
      blueprint,
    ]);
  }

  /** What another database's ledger says, for the next plan. */
  async copyLedger(
    { tenantId, server, database, appSchema }: CampaignTarget,
    blueprint: string,
    steps: readonly { version: number; checksum: string }[],
  ): Promise<void> {
    const done = [blueprint, steps.map(({ version }) => version), steps.map(({ checksum }) => checksum)];
    if (tenantId !== null)
      await this.database.pool.query(
        `INSERT INTO tenancy.app_ledger (app_schema, blueprint, version, checksum)
         SELECT $4, $1, * FROM unnest($2::int[], $3::text[]) ON CONFLICT DO NOTHING`,
        [...done, appSchema],
      );
    else
      await this.database.pool.query(
        `INSERT INTO tenancy.shared_ledger (server, database, blueprint, version, checksum)
         SELECT $4, $5, $1, * FROM unnest($2::int[], $3::text[]) ON CONFLICT DO NOTHING`,
        [...done, server, database],
      );
  }
}
