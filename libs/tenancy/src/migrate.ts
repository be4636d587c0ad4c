import { pbkdf2Sync } from 'node:crypto';
import pg from 'pg';
import { compiledScript } from './compiled.js';
import { fenceStatements, fenceVersion } from './erased-fence.js';
import { repositoryRoot, serviceNames, sha256 } from './migration-files.js';
import { applyMigrations, asOwner, exclusively, isRecorded, ledgerScript, pendingFiles, readLedger, record } from './migrator.js';
import { BLUEPRINTS, CONTROL_PLANE_DATABASE, OWNER } from './names.js';
import { migrateShared, platformSets, sharedSet } from './platform.js';
import { closeDatabases, rolesScript, type ServicePasswords } from './roles.js';

export interface MigrateOptions {
  /** Of a superuser, or of a role that may create roles and databases; any database of the server. */
  adminUrl: string;
  /** By service name; every service needs one, and `blueprints`. They become the logins' passwords. */
  passwords: ServicePasswords;
  /** The folder that holds `libs` and `services`. */
  root?: string;
}
export interface MigrateOutcome {
  /** What was applied now, `component/file`, in order; empty when everything was there. */
  applied: string[];
  durationMs: number;
}

/**
 * Brings the server up to this version: database `tenantry`, roles and passwords, every platform table, the shared tenants' tables.
 * May run again, and at the same time as others of its kind. One query when there is nothing to do.
 * @throws Error that names the file that failed, or an applied file that has changed since
 */
export async function migrate({ adminUrl, passwords, root = repositoryRoot }: MigrateOptions): Promise<MigrateOutcome> {
  const started = performance.now();
  const services = await serviceNames(root);
  const [sets, shared, compiled] = await Promise.all([platformSets(root, services), sharedSet(root), compiledScript()]);
  const roles = fingerprint(services, passwords);
  const fence = fenceVersion();
  const client = await controlPlane(adminUrl);
  try {
    const pending = async () => {
      const ledger = await readLedger(client);
      const files = [...sets, shared].flatMap((set) => pendingFiles(ledger, set));
      const isComplete = files.length === 0 && isRecorded(ledger, 'roles', 'logins', roles) && isRecorded(ledger, 'erased', 'fence', fence);
      return { ledger, isComplete };
    };
    const applied: string[] = [];
    if (!(await pending()).isComplete) {
      await exclusively(client, async () => {
        // Again, under the lock: another migrator may have just ended.
        const { ledger, isComplete } = await pending();
        if (isComplete) return;
        if (!isRecorded(ledger, 'roles', 'logins', roles)) {
          await client.query(rolesScript(services, passwords));
          await client.query(`ALTER DATABASE ${CONTROL_PLANE_DATABASE} OWNER TO ${OWNER}`);
          await closeDatabases(client, CONTROL_PLANE_DATABASE);
          await client.query(ledgerScript);
          applied.push('roles/logins');
        }
        applied.push(...(await applyMigrations(client, ledger, sets)));
        if (!isRecorded(ledger, 'erased', 'fence', fence)) {
          // One table at a time: none waits for the writers of another.
          for (const statement of fenceStatements()) await asOwner(client, null, () => client.query(statement));
          await asOwner(client, null, () => record(client, 'erased', [{ name: 'fence', sha256: fence }]));
          applied.push('erased/fence');
        }
        const ofShared = pendingFiles(ledger, shared);
        if (ofShared.length > 0) applied.push(...(await migrateShared(client, shared, ofShared, compiled)));
        // Last: what is recorded is whole.
        if (applied.includes('roles/logins')) await record(client, 'roles', [{ name: 'logins', sha256: roles }]);
      });
    }
    return { applied, durationMs: performance.now() - started };
  } finally {
    await client.end();
  }
}

/** Tells whether roles and passwords are those of the last run, without keeping a password. */
function fingerprint(services: readonly string[], passwords: ServicePasswords): string {
  const script = rolesScript(
    services,
    Object.fromEntries([...services, BLUEPRINTS].map((name) => [name, passwords[name] && 'x']) as [string, string][]),
  );
  const given = [...services, BLUEPRINTS].map((name) => [name, passwords[name]]);
  const secret = pbkdf2Sync(JSON.stringify(given), 'tenantry service logins', 4096, 32, 'sha256').toString('hex');
  return sha256(`${script.replaceAll(/SCRAM-[^']*/g, '')}${secret}`);
}

async function controlPlane(adminUrl: string): Promise<pg.Client> {
  const url = new URL(adminUrl);
  url.pathname = `/${CONTROL_PLANE_DATABASE}`;
  try {
    return await connected(url.href);
  } catch (error) {
    if ((error as { code?: string }).code !== '3D000') throw error;
  }
  const admin = await connected(adminUrl);
  try {
    await admin.query(`CREATE DATABASE ${CONTROL_PLANE_DATABASE} TEMPLATE template0`);
  } catch (error) {
    // Another migrator was quicker.
    if (!['42P04', '23505'].includes((error as { code?: string }).code ?? '')) throw error;
  } finally {
    await admin.end();
  }
  return connected(url.href);
}

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 10_000, application_name: 'tenantry-migrate' });
  // A connection that breaks also rejects the query that runs; the event must not end the process.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
