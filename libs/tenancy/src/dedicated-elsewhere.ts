import { stepsForNew } from './blueprints.js';
import { scriptFor } from './compile.js';
import { compiledScript } from './compiled.js';
import { copyLedger, fillApp, readLedger } from './fill-app.js';
import { onDatabase } from './move/side.js';
import { OWNER } from './names.js';
import { type AppContext, inOneMessage, onPool, type PlaceContext } from './place-context.js';
import type { Placement } from './placement.js';
import { forgetPlacement, isReady, namesOf, openGate, savePlacement } from './placement-rows.js';
import { identifier, integer, literal, objectExists, sqlState, uuidLiteral } from './sql.js';
import { dropRole, makeRole } from './tenant-roles.js';
import { versionIn } from './tenant-upgrade.js';

/**
 * A dedicated tenant in a database other than the control plane's, which can't be part of one transaction with the placement: role, then
 * everything inside the database in one transaction, then `ready`. Each may have been done before.
 */
export async function createElsewhere(context: AppContext, placement: Placement): Promise<{ created: boolean }> {
  const { pool } = context;
  if (await isReady(pool, placement)) return { created: false };
  await onPool(pool, (client) => inOneMessage(client, savePlacement(placement, false)));
  await makeRole(context, placement);
  const [compiled, app] = await Promise.all([compiledScript(), stepsForNew(pool, false)]);
  const script = `${scriptFor(compiled, namesOf(placement))} SET LOCAL ROLE ${OWNER}; ${openGate(placement)}`;
  const schemaVersion = await onDatabase(context, placement, async (client) => {
    await inOneMessage(client, script).catch(async (error: unknown) => {
      if (!objectExists(error)) throw error;
      // Its gate came with its schemas: an earlier attempt's, or that of one at the same time.
      const results = await inOneMessage(
        client,
        `SET LOCAL ROLE ${OWNER}; SELECT FROM tenancy.tenant_gate WHERE tenant_id = ${uuidLiteral(placement.tenantId)} AND generation = ${integer(placement.generation)}`,
      );
      if (results[2]?.rowCount !== 1)
        throw new Error(`The schema ${placement.schema} exists in ${placement.database}, but is not this placement's`, { cause: error });
    });
    return versionIn(client, placement.schema);
  });
  const versions = () => onDatabase(context, placement, async (client) => (await readLedger(client, placement)).get(placement.appSchema)!);
  await fillApp(context, placement, app, versions);
  if (app.length > 0) await copyLedger(pool, placement, await versions());
  await pool.query(
    'UPDATE tenancy.placements SET ready = true, schema_version = $3, updated_at = now() WHERE tenant_id = $1 AND generation = $2',
    [placement.tenantId, placement.generation, schemaVersion],
  );
  return { created: true };
}

/** The record goes last: until it is gone, another attempt finds what is left. */
export async function dropElsewhere(context: PlaceContext, placement: Placement): Promise<void> {
  await onDatabase(context, placement, (client) =>
    inOneMessage(
      client,
      `SET LOCAL lock_timeout = '5s'; SET LOCAL ROLE ${OWNER};
       DELETE FROM tenancy.tenant_gate WHERE tenant_id = ${uuidLiteral(placement.tenantId)} AND generation <= ${integer(placement.generation)};
       DROP SCHEMA IF EXISTS ${identifier(placement.appSchema)}, ${identifier(placement.schema)} CASCADE;
       DELETE FROM tenancy.app_ledger WHERE app_schema = ${literal(placement.appSchema)}`,
    ),
  );
  await dropRole(context, placement).catch((error: unknown) => {
    // Something of it is left in another database of the server: the role goes with that.
    if (sqlState(error) !== '2BP01') throw error;
  });
  const forgetVersions = `DELETE FROM tenancy.app_ledger WHERE app_schema = ${literal(placement.appSchema)};`;
  await onPool(context.pool, (client) => inOneMessage(client, `${forgetVersions} ${forgetPlacement(placement)}`));
}
