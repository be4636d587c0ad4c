import { tryOut } from '../blueprint-scratch.js';
import { examine } from '../blueprint-sql.js';
import { stepsTo } from '../blueprints.js';
import { sha256 } from '../migration-files.js';
import type { Platform } from './platform.js';

/** Accepts versions of a blueprint as provisioning does. */
export async function publishOn(platform: Platform, name: string, supportsShared: boolean, versions: string[]): Promise<void> {
  await platform.admin.query(
    `INSERT INTO tenancy.blueprints VALUES ($1, $2, 'active', clock_timestamp(), now(), 0) ON CONFLICT (name) DO NOTHING`,
    [name, supportsShared],
  );
  const { rows } = await platform.admin.query<{ version: number; foldable: boolean }>(
    'SELECT version, foldable FROM tenancy.blueprint_versions WHERE blueprint = $1 ORDER BY version DESC LIMIT 1',
    [name],
  );
  let last = rows[0] ?? { version: 0, foldable: true };
  for (const sql of versions) {
    const examined = await examine(sql);
    const version = last.version + 1;
    const isFoldable = examined.isFoldable && last.foldable;
    const before = last.version === 0 ? [] : await stepsTo(platform.places.pool, name, last.version);
    const { refusals, stamp, compiled, objects } = await tryOut(platform.places.app, { ...examined, supportsShared, before, isFoldable });
    if (refusals.length > 0) throw new Error(JSON.stringify(refusals));
    await platform.admin.query('INSERT INTO tenancy.blueprint_versions VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now())', [
      ...[name, version, sql, sha256(sql), examined.statements.length, examined.hasData, isFoldable, JSON.stringify(stamp)],
      ...[compiled?.sql ?? null, compiled && JSON.stringify(compiled.stamp), JSON.stringify(objects)],
    ]);
    last = { version, foldable: isFoldable };
  }
}
