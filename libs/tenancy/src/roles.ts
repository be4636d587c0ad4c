import type { ClientBase } from 'pg';
import { APP_OWNER, BLUEPRINT_LOGIN, BLUEPRINTS, BUCKET, OWNER, PRODUCT, SERVICES, SHARED_ROLE, serviceLogin } from './names.js';
import { scramVerifier } from './scram.js';
import { identifier, literal } from './sql.js';

/** Passwords by service name (`quota-metering`); `blueprints` is the login that the operator's SQL runs with. */
export type ServicePasswords = Readonly<Record<string, string>>;

/**
 * The roles of the platform as one script that may run again and again: groups, one login per service with its password.
 * Roles belong to the server, not to a database; the connection may be to any of its databases.
 */
export function rolesScript(services: readonly string[], passwords: ServicePasswords): string {
  const missing = [...services, BLUEPRINTS].filter((name) => !passwords[name]);
  if (missing.length > 0) throw new Error(`No password for the database login of: ${missing.join(', ')}`);
  const logins = services.map(serviceLogin);
  return [
    ...[OWNER, APP_OWNER, SERVICES, BUCKET, SHARED_ROLE, PRODUCT, BLUEPRINT_LOGIN, ...logins].map(made),
    ...[OWNER, APP_OWNER, SERVICES, BUCKET, SHARED_ROLE, PRODUCT].map((role) => `ALTER ROLE ${identifier(role)} NOLOGIN;`),
    ...services.map((service) => {
      // Only provisioning makes roles and databases.
      const rights = service === 'provisioning' ? 'CREATEROLE CREATEDB' : 'NOCREATEROLE NOCREATEDB';
      return `ALTER ROLE ${identifier(serviceLogin(service))} LOGIN ${rights} PASSWORD ${literal(scramVerifier(passwords[service]!))};`;
    }),
    ...blueprintLogin(passwords[BLUEPRINTS]!),
    // A tenant's rights are had only after SET ROLE; nothing of them is inherited.
    `GRANT ${SHARED_ROLE} TO ${BUCKET} WITH INHERIT FALSE, SET TRUE;`,
    `GRANT ${SERVICES} TO ${logins.map(identifier).join(', ')} WITH INHERIT TRUE, SET FALSE;`,
    `GRANT ${BUCKET} TO ${[PRODUCT, ...logins].map(identifier).join(', ')} WITH INHERIT FALSE, SET TRUE;`,
    ...(services.includes('provisioning') ? [`GRANT ${OWNER} TO ${serviceLogin('provisioning')} WITH INHERIT FALSE, SET TRUE;`] : []),
    // Who owns the schemas may do with the product's tables what their owner may: a move copies them.
    `GRANT ${APP_OWNER} TO ${OWNER} WITH INHERIT TRUE, SET TRUE;`,
    ...(services.includes('provisioning') ? [`GRANT ${APP_OWNER} TO ${serviceLogin('provisioning')} WITH INHERIT FALSE, SET TRUE;`] : []),
    // An administrator who is no superuser must say that it acts as the owner of what it makes.
    `DO $$ BEGIN
      IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT ${OWNER} TO %I WITH INHERIT TRUE, SET TRUE', current_user);
      END IF;
    END $$;`,
  ].join('\n');
}

/** The login that the operator's SQL runs with, for whoever may make logins. May run again. */
export const blueprintLoginScript = (password: string): string => [made(BLUEPRINT_LOGIN), ...blueprintLogin(password)].join('\n');

const made = (role: string) => `DO $$ BEGIN CREATE ROLE ${identifier(role)}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;`;

/** It is a member of nothing and owns nothing: what it may do is call the functions that are granted to it. */
const blueprintLogin = (password: string): string[] => [
  `ALTER ROLE ${BLUEPRINT_LOGIN} LOGIN NOINHERIT NOCREATEROLE NOCREATEDB CONNECTION LIMIT 100 PASSWORD ${literal(scramVerifier(password))};`,
  ...Object.entries(blueprintSettings).map(([name, value]) => `ALTER ROLE ${BLUEPRINT_LOGIN} SET ${name} = ${literal(value)};`),
  // Only a superuser may set it, and nobody else may change it afterwards.
  `DO $$ BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN ALTER ROLE ${BLUEPRINT_LOGIN} SET temp_file_limit = '4GB'; END IF;
  END $$;`,
];
const blueprintSettings = {
  search_path: 'pg_catalog',
  statement_timeout: '10min',
  lock_timeout: '2s',
  idle_in_transaction_session_timeout: '1min',
  idle_session_timeout: '10min',
  work_mem: '16MB',
} as const;

/**
 * Who may connect to what: services to the control plane, an isolated tenant's login to its own database alone.
 * PostgreSQL lets everybody connect to a new database, so this is taken back where the connection has the right to.
 */
export async function closeDatabases(client: ClientBase, database: string): Promise<void> {
  const { rows } = await client.query<{ datname: string }>(
    `SELECT datname FROM pg_database WHERE datname IN ($1, 'postgres', 'template1')
     AND (pg_has_role(current_user, datdba, 'USAGE') OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))`,
    [database],
  );
  const revokes = rows.map(({ datname }) => `REVOKE ALL ON DATABASE ${identifier(datname)} FROM PUBLIC;`);
  await client.query(
    `${revokes.join('')} GRANT CONNECT ON DATABASE ${identifier(database)} TO ${SERVICES}, ${PRODUCT}, ${BLUEPRINT_LOGIN}; REVOKE ALL ON SCHEMA public FROM PUBLIC`,
  );
}
