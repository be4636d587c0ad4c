import { scriptFor } from '../compile.js';
import { compiledScript } from '../compiled.js';
import { newPassword, openLogin, sealLogin } from '../login-secret.js';
import { BUCKET, CONTROL_PLANE_DATABASE, OWNER } from '../names.js';
import type { Placement } from '../placement.js';
import { createDatabase, fillDatabase, inOneMessage, namesOf, onPool, type PlaceContext } from '../provision-schema.js';
import { scramVerifier } from '../scram.js';
import { identifier, integer, literal, uuidLiteral } from '../sql.js';
import { openGateSql } from './gate.js';
import { asOwner, type Move, onDatabase } from './side.js';

const roleExists = (role: string) => `EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role)})`;

/**
 * Makes the target: role, schemas, the platform's tables, a closed gate where its database has none of the tenant. The placement still says
 * the source. Each part may be there already.
 */
export async function makePlace(context: PlaceContext, to: Placement, from: Placement): Promise<void> {
  if (to.isolation === 'isolated') {
    await makeLogin(context, to);
    await createDatabase(context.pool, to);
    // The product's schema is copied, and with it the versions that it has.
    await fillDatabase(context, to, `${openGateSql(to, 'closed')};`, []);
    return;
  }
  const closed = to.database === from.database ? '' : `${openGateSql(to, 'closed')};`;
  if (to.isolation === 'shared') {
    if (closed) await onDatabase(context, to, (client) => inOneMessage(client, `SET LOCAL ROLE ${OWNER}; ${closed} RESET ROLE`));
    return;
  }
  const role = identifier(to.role);
  await onPool(context.pool, (client) =>
    inOneMessage(
      client,
      // A role that exists is the tenant's own, from another level.
      `DO $do$ BEGIN
         IF ${roleExists(to.role)} THEN GRANT ${role} TO ${BUCKET} WITH INHERIT FALSE, SET TRUE;
         ELSE PERFORM tenancy.take_role(${literal(to.role)}); END IF;
       END $do$`,
    ),
  );
  const compiled = await compiledScript();
  await onDatabase(context, to, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [to.schema]);
    const script = rowCount === 0 ? scriptFor(compiled, namesOf(to)) : '';
    await inOneMessage(client, `${script} SET LOCAL ROLE ${OWNER}; ${closed} RESET ROLE`);
  });
}

/** The role becomes a login; its encrypted password commits with it. One that was made before stays. */
async function makeLogin({ pool, keys }: PlaceContext, { tenantId, role }: Placement): Promise<void> {
  const { rows } = await pool.query<{ login_secret: string | null; rolcanlogin: boolean | null }>(
    'SELECT p.login_secret, r.rolcanlogin FROM tenancy.placements p LEFT JOIN pg_roles r ON r.rolname = $2 WHERE p.tenant_id = $1',
    [tenantId, role],
  );
  const known = rows[0]?.login_secret ?? null;
  if (known !== null && rows[0]?.rolcanlogin) return;
  const password = known === null ? newPassword() : await openLogin(keys, tenantId, known);
  const secret = known ?? (await sealLogin(keys, tenantId, password));
  const rights = `LOGIN PASSWORD ${literal(scramVerifier(password))}`;
  await onPool(pool, (client) =>
    inOneMessage(
      client,
      `UPDATE tenancy.placements SET login_secret = ${literal(secret)} WHERE tenant_id = ${uuidLiteral(tenantId)};
       DO $do$ BEGIN
         IF ${roleExists(role)} THEN EXECUTE ${literal(`ALTER ROLE ${identifier(role)} ${rights}`)};
         ELSE EXECUTE ${literal(`CREATE ROLE ${identifier(role)} ${rights}`)}; END IF;
       END $do$`,
    ),
  );
}

/** The placement says the new place; of which version its tables are, the next upgrade looks up there. @param gateHere its gate is in the same database, and opens with it */
export async function savePlaced({ pool }: PlaceContext, place: Placement, gateHere: boolean): Promise<void> {
  const { tenantId, isolation, server, database, schema, appSchema, role, generation } = place;
  const saved = `UPDATE tenancy.placements SET isolation = ${literal(isolation)}, server = ${literal(server)}, database = ${literal(database)},
      schema = ${literal(schema)}, app_schema = ${literal(appSchema)}, role = ${literal(role)}, generation = ${integer(generation)},
      ready = true, schema_version = NULL, updated_at = now()
    WHERE tenant_id = ${uuidLiteral(tenantId)} AND generation < ${integer(generation)}`;
  // The gates of the control plane's database are provisioning's to write.
  await onPool(pool, (client) => inOneMessage(client, `${saved}; ${gateHere ? openGateSql(place) : ''}`));
}

/**
 * The copy of the product's schema has the versions that the original has; shared tables have versions of their own. May be repeated.
 * @param anew what an earlier copy had is forgotten
 */
export async function copyVersions(context: PlaceContext, { from, to }: Move, { anew }: { anew: boolean }): Promise<void> {
  if (to.isolation === 'shared') return;
  const { rows } = await onDatabase(context, from, (client) =>
    asOwner(client, from, () =>
      client.query<{ blueprint: string; version: number; checksum: string }>(
        'SELECT blueprint, version, checksum FROM tenancy.app_ledger WHERE app_schema = $1',
        [from.appSchema],
      ),
    ),
  );
  const insert = `INSERT INTO tenancy.app_ledger (app_schema, blueprint, version, checksum) SELECT $1, * FROM unnest($2::text[], $3::int[], $4::text[]) ON CONFLICT DO NOTHING`;
  const values = [
    to.appSchema,
    rows.map(({ blueprint }) => blueprint),
    rows.map(({ version }) => version),
    rows.map(({ checksum }) => checksum),
  ];
  await onDatabase(context, to, (client) =>
    asOwner(client, to, async () => {
      if (anew && (from.database !== to.database || from.appSchema !== to.appSchema))
        await client.query('DELETE FROM tenancy.app_ledger WHERE app_schema = $1', [to.appSchema]);
      await client.query(insert, values);
    }),
  );
  // What campaigns are planned with.
  if (to.database !== CONTROL_PLANE_DATABASE) await context.pool.query(insert, values);
}

/** Where the tenant lives, as the placement says. */
export async function generationOf({ pool }: PlaceContext, tenantId: string): Promise<number> {
  const { rows } = await pool.query<{ generation: string }>('SELECT generation FROM tenancy.placements WHERE tenant_id = $1', [tenantId]);
  return Number(rows[0]?.generation ?? 0);
}

/** Removes a place that is not the tenant's any more, or never became it. What the place where it lives needs stays: role, login, gate. */
export async function removePlace(context: PlaceContext, gone: Placement, stays: Placement): Promise<void> {
  const { pool } = context;
  const role = identifier(gone.role);
  const lastRole = gone.role !== stays.role;
  if (gone.isolation !== 'shared' && gone.appSchema !== stays.appSchema)
    await pool.query('DELETE FROM tenancy.app_ledger WHERE app_schema = $1', [gone.appSchema]);
  if (gone.isolation === 'isolated') {
    await onPool(pool, (client) =>
      inOneMessage(
        client,
        // Nobody logs in any more; and who holds the role's rights may end its sessions, which dropping by force does.
        `DO $do$ BEGIN
           IF ${roleExists(gone.role)} THEN
             ALTER ROLE ${role} NOLOGIN PASSWORD NULL;
             EXECUTE format('GRANT %I TO %I WITH INHERIT TRUE', ${literal(gone.role)}, session_user);
           END IF;
         END $do$;
         UPDATE tenancy.placements SET login_secret = NULL WHERE tenant_id = ${uuidLiteral(gone.tenantId)}`,
      ),
    );
    await pool.query(`DROP DATABASE IF EXISTS ${identifier(gone.database)} WITH (FORCE)`);
    await onPool(pool, (client) =>
      inOneMessage(
        client,
        lastRole
          ? `DROP ROLE IF EXISTS ${role}`
          : `DO $do$ BEGIN EXECUTE format('REVOKE %I FROM %I', ${literal(gone.role)}, session_user); END $do$`,
      ),
    );
    return;
  }
  await onDatabase(context, gone, async (client) => {
    if (gone.isolation === 'shared') await inOneMessage(client, await deleteRows(client, gone));
    else
      await inOneMessage(
        client,
        `SET LOCAL lock_timeout = '5s'; SET LOCAL ROLE ${OWNER};
         DROP SCHEMA IF EXISTS ${identifier(gone.appSchema)}, ${identifier(gone.schema)} CASCADE; RESET ROLE`,
      );
    if (gone.database !== stays.database)
      await inOneMessage(
        client,
        `SET LOCAL ROLE ${OWNER}; DELETE FROM tenancy.tenant_gate WHERE tenant_id = ${uuidLiteral(gone.tenantId)}
         AND generation <= ${integer(gone.generation)}; RESET ROLE`,
      );
  });
  if (gone.isolation !== 'dedicated') return;
  const revoke = `DO $do$ BEGIN IF ${roleExists(gone.role)} THEN REVOKE ${role} FROM ${BUCKET}; END IF; END $do$`;
  if (lastRole) await onPool(pool, (client) => inOneMessage(client, `DROP ROLE IF EXISTS ${role}`));
  else if (stays.isolation === 'isolated') await onPool(pool, (client) => inOneMessage(client, revoke));
}

/** Rows of the shared tables, in the tenant's own context, children first. */
async function deleteRows(
  client: { query: (text: string, values: unknown[]) => Promise<{ rows: { schema: string; name: string }[] }> },
  place: Placement,
): Promise<string> {
  const { rows } = await client.query(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ($1, $2) AND c.relkind = 'r' ORDER BY c.oid DESC`,
    [place.schema, place.appSchema],
  );
  const deletes = rows.map(
    ({ schema, name }) => `DELETE FROM ${identifier(schema)}.${identifier(name)} WHERE tenant_id = ${uuidLiteral(place.tenantId)};`,
  );
  return `SET LOCAL ROLE ${identifier(place.role)}; SET LOCAL app.tenant_id = ${uuidLiteral(place.tenantId)}; SET CONSTRAINTS ALL DEFERRED; ${deletes.join(' ')} RESET ROLE`;
}
