import type pg from 'pg';
import { type AppPlace, type AppStep, appWork, changeApp } from './blueprint-script.js';
import { type AppVersions, appLedger } from './blueprints.js';
import { OWNER } from './names.js';
import { type AppContext, inOneMessage } from './place-context.js';
import type { Placement } from './placement.js';
import { sqlState } from './sql.js';

/**
 * Makes what the blueprints say, in a session of their own login.
 * @param versions what the schema's ledger says by now: another attempt, or another tenant's, may have been quicker
 */
export async function fillApp(
  context: AppContext,
  place: AppPlace & Pick<Placement, 'server' | 'database'>,
  steps: readonly AppStep[],
  versions: () => Promise<AppVersions>,
): Promise<void> {
  if (steps.length === 0) return;
  const script = changeApp(place, steps, appWork(place, steps), 0, null);
  try {
    await context.app.run(place, (client) => inOneMessage(client, `SET LOCAL lock_timeout = '5s'; ${script}`));
  } catch (error) {
    if (sqlState(error) !== 'TG004') throw error;
    const has = await versions();
    const missing = steps.filter(({ blueprint }) => !has.has(blueprint));
    if (missing.length === steps.length) throw error;
    await fillApp(context, place, missing, versions);
  }
}

/** What a database other than the control plane's says of its product's versions. */
export async function readLedger(client: pg.Client, { appSchema }: Pick<Placement, 'appSchema'>): Promise<Map<string, AppVersions>> {
  await client.query(`BEGIN READ ONLY; SET LOCAL ROLE ${OWNER}`);
  try {
    return await appLedger(client, [appSchema]);
  } finally {
    await client.query('COMMIT');
  }
}

/** Campaigns are planned with the control plane's copy. */
export async function copyLedger(pool: pg.Pool, { appSchema }: Placement, versions: AppVersions): Promise<void> {
  const rows = [...versions].map(([blueprint, { version, checksum }]) => ({ blueprint, version, checksum }));
  await pool.query(
    `INSERT INTO tenancy.app_ledger (app_schema, blueprint, version, checksum) SELECT $1, * FROM unnest($2::text[], $3::int[], $4::text[]) ON CONFLICT DO NOTHING`,
    [appSchema, rows.map(({ blueprint }) => blueprint), rows.map(({ version }) => version), rows.map(({ checksum }) => checksum)],
  );
}
