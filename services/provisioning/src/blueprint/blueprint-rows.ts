import { Injectable } from '@nestjs/common';
import type { BlueprintVersionView, BlueprintView } from '@tenantry/contracts/platform/blueprints';
import { Database } from '@tenantry/service/database';
import type { Objects } from '@tenantry/tenancy/blueprint-objects';
import type { Stamp } from '@tenantry/tenancy/blueprint-script';

export interface WrittenVersion {
  blueprint: string;
  version: number;
  sql: string;
  sha256: string;
  statements: number;
  hasData: boolean;
  isFoldable: boolean;
  stamp: Stamp;
  compiled: { sql: string; stamp: Stamp } | null;
  objects: Objects;
  createdAt: string;
}
type Summary = Omit<BlueprintView, 'versions'>;
const MOST_VERSIONS = 200;

const summary = `b.name, b.supports_shared AS "supportsShared", b.status, b.created_at AS "createdAt", b.updated_at AS "updatedAt",
  (SELECT max(v.version) FROM tenancy.blueprint_versions v WHERE v.blueprint = b.name) AS "latestVersion"`;
const versionSummary = `v.version, v.sha256, v.statements, v.compiled IS NOT NULL AS compiled, v.created_at AS "createdAt"`;
const times = <T extends { createdAt: Date | string; updatedAt?: Date | string }>(row: T) => ({
  ...row,
  createdAt: new Date(row.createdAt).toISOString(),
  ...(row.updatedAt === undefined ? {} : { updatedAt: new Date(row.updatedAt).toISOString() }),
});

/** Blueprints as those who make tenants' tables read them. Statements, no rules. */
@Injectable()
export class BlueprintRows {
  constructor(private readonly database: Database) {}

  async put(blueprint: Omit<Summary, 'latestVersion'>, streamVersion: number): Promise<void> {
    const { name, supportsShared, status, createdAt, updatedAt } = blueprint;
    await this.database.pool.query(
      `INSERT INTO tenancy.blueprints AS b (name, supports_shared, status, created_at, updated_at, stream_version) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (name) DO UPDATE SET supports_shared = excluded.supports_shared, status = excluded.status, updated_at = excluded.updated_at,
         stream_version = excluded.stream_version WHERE b.stream_version < excluded.stream_version`,
      [name, supportsShared, status, createdAt, updatedAt, streamVersion],
    );
  }

  async addVersion(version: WrittenVersion): Promise<void> {
    const { stamp, compiled, objects, ...rest } = version;
    await this.database.pool.query(
      `INSERT INTO tenancy.blueprint_versions (blueprint, version, sql, sha256, statements, has_data, foldable, stamp, compiled, compiled_stamp, objects, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
      [
        ...[rest.blueprint, rest.version, rest.sql, rest.sha256, rest.statements, rest.hasData, rest.isFoldable, JSON.stringify(stamp)],
        ...[compiled?.sql ?? null, compiled && JSON.stringify(compiled.stamp), JSON.stringify(objects), rest.createdAt],
      ],
    );
  }

  async list(after: string, limit: number): Promise<Summary[]> {
    const { rows } = await this.database.pool.query<Summary>(
      `SELECT ${summary} FROM tenancy.blueprints b WHERE b.name > $1 ORDER BY b.name LIMIT $2`,
      [after, limit],
    );
    return rows.map(times);
  }

  async find(name: string): Promise<BlueprintView | null> {
    const [found, versions] = await Promise.all([
      this.database.pool.query<Summary>(`SELECT ${summary} FROM tenancy.blueprints b WHERE b.name = $1`, [name]),
      this.database.pool.query<BlueprintView['versions'][number]>(
        `SELECT ${versionSummary} FROM tenancy.blueprint_versions v WHERE v.blueprint = $1 ORDER BY v.version DESC LIMIT ${MOST_VERSIONS}`,
        [name],
      ),
    ]);
    return found.rows[0] ? { ...times(found.rows[0]), versions: versions.rows.map(times) } : null;
  }

  async findVersion(name: string, version: number): Promise<BlueprintVersionView | null> {
    const { rows } = await this.database.pool.query<BlueprintVersionView>(
      `SELECT v.blueprint, ${versionSummary}, v.sql FROM tenancy.blueprint_versions v WHERE v.blueprint = $1 AND v.version = $2`,
      [name, version],
    );
    return rows[0] ? times(rows[0]) : null;
  }

  /** Of the highest version that is written: 0 and foldable for none. */
  async last(name: string): Promise<{ version: number; isFoldable: boolean }> {
    const { rows } = await this.database.pool.query<{ version: number; isFoldable: boolean }>(
      `SELECT version, foldable AS "isFoldable" FROM tenancy.blueprint_versions WHERE blueprint = $1 ORDER BY version DESC LIMIT 1`,
      [name],
    );
    return rows[0] ?? { version: 0, isFoldable: true };
  }

  /** What schemas hold at these versions. */
  async objects(name: string, versions: readonly number[]): Promise<Map<number, Objects>> {
    const { rows } = await this.database.pool.query<{ version: number; objects: Objects }>(
      'SELECT version, objects FROM tenancy.blueprint_versions WHERE blueprint = $1 AND version = ANY ($2)',
      [name, versions],
    );
    return new Map(rows.map(({ version, objects }) => [version, objects]));
  }

  /** Objects of other blueprints, in any of their versions: their names are taken. */
  async taken(name: string): Promise<Map<string, string>> {
    const { rows } = await this.database.pool.query<{ object: string; blueprint: string }>(
      `SELECT DISTINCT ON (object) object, v.blueprint FROM tenancy.blueprint_versions v, jsonb_object_keys(v.objects) AS object WHERE v.blueprint <> $1 ORDER BY object`,
      [name],
    );
    return new Map(rows.map(({ object, blueprint }) => [object, blueprint]));
  }
}
