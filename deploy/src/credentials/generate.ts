import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type ServiceName, services } from '@tenantry/contracts/route';
import { BLUEPRINT_LOGIN, BLUEPRINTS } from '@tenantry/tenancy/names';
import { dataFolder, makeFolders, readIfThere, writeWhole } from '../local/files.js';
import { prepareNatsAccounts } from '../local/nats-accounts.js';
import { prepareKeys, prepareSecrets } from '../local/secrets.js';

export interface CredentialOptions {
  /** The control-plane database as the services reach it, without a login; the query (TLS) goes on to every service. */
  postgresUrl: string;
  /** Of a role that may create roles and databases. Without it: the superuser `postgres` of the same server, with a password made here. */
  adminPostgresUrl?: string;
  /** Absolute path, on the broker's machine, of the folder of its account resolver. */
  resolverDir: string;
  baseDomain: string;
}

/** Absolute paths of folders; each is all that its one process may see. */
export interface Credentials {
  /** `process.env` (its database login; provisioning has a second one, for blueprints), `nats.creds`, `token.pub.pem`, and the keys that are this process's alone. */
  processes: ReadonlyMap<ServiceName, string>;
  /** `process.env` (the administrator's login) and `service-passwords.json`. */
  migrate: string;
  /** `accounts.conf`, to be included by the broker's configuration. */
  nats: string;
  /** `password` of the superuser, for a server that is made here. */
  postgres: string;
  /** For people: `admin-api-key`, and `reader.creds` to follow the events. */
  operator: string;
}

/**
 * Makes every credential of an installation, once: what is there already is kept, so it may run before every start.
 * Keys and passwords are made in `<dir>/store`; the other folders are copies, one for each process. The seeds of NATS operator and
 * platform account go to identity alone; the one of the system account stays in the store.
 * All files are readable by their owner alone (0600).
 * @throws Error when an option cannot be used
 */
export async function generateCredentials(dir: string, options: CredentialOptions): Promise<Credentials> {
  const root = resolve(dir);
  const postgresUrl = withoutLogin(options.postgresUrl);
  if (!options.resolverDir.startsWith('/')) throw new Error(`the resolver's folder must be an absolute path, not "${options.resolverDir}"`);

  const store = dataFolder(join(root, 'store'));
  await makeFolders(store);
  const secrets = await prepareSecrets(store, options.baseDomain);
  const { files } = await prepareKeys(store);
  const accounts = await prepareNatsAccounts(store);

  const blueprints = withLogin(postgresUrl, BLUEPRINT_LOGIN, secrets.servicePasswords[BLUEPRINTS]!);
  const processes = new Map<ServiceName, string>();
  for (const name of services) {
    const folder = join(root, 'processes', name);
    const login = withLogin(postgresUrl, `tenantry_${name.replaceAll('-', '_')}`, secrets.servicePasswords[name]!);
    await write(folder, {
      'process.env': `${variable('TENANTRY_POSTGRES_URL', login)}${name === 'provisioning' ? variable('TENANTRY_BLUEPRINTS_POSTGRES_URL', blueprints) : ''}`,
      'nats.creds': await readFile(accounts.creds.get(name)!, 'utf8'),
      'token.pub.pem': await readFile(files.tokenPublic, 'utf8'),
    });
    processes.set(name, folder);
  }
  await write(processes.get('gateway')!, { 'token.pem': await readFile(files.tokenPrivate, 'utf8') });
  await write(processes.get('identity')!, {
    'bootstrap-api-key': await readFile(files.bootstrapApiKey, 'utf8'),
    'nats-operator.nk': await readFile(accounts.operatorSeedFile, 'utf8'),
    'nats-platform.nk': await readFile(accounts.platformSeedFile, 'utf8'),
    'nats-system.creds': await readFile(accounts.systemCreds, 'utf8'),
  });

  await copyMasterKeys(files.kms, processes.get('identity')!);

  const migrate = join(root, 'migrate');
  const admin = options.adminPostgresUrl ?? withLogin(withDatabase(postgresUrl, 'postgres'), 'postgres', secrets.postgresPassword);
  await write(migrate, {
    'process.env': variable('TENANTRY_ADMIN_POSTGRES_URL', admin),
    'service-passwords.json': `${JSON.stringify(secrets.servicePasswords, null, 2)}\n`,
  });
  const postgres = join(root, 'postgres');
  await write(postgres, { password: secrets.postgresPassword });
  const operator = join(root, 'operator');
  await write(operator, {
    'admin-api-key': await readFile(files.bootstrapApiKey, 'utf8'),
    'reader.creds': await readFile(accounts.readerCreds, 'utf8'),
  });

  const nats = join(root, 'nats');
  const jwtOf = async (account: string) => (await readFile(join(accounts.resolver, `${account}.jwt`), 'utf8')).trim();
  const preload = [accounts.systemAccount, accounts.platformAccount];
  await write(nats, {
    'accounts.conf': [
      '# Operator mode: made by deploy/dist/credentials/main.js. Holds no seed.',
      `operator: ${(await readFile(accounts.operatorJwtFile, 'utf8')).trim()}`,
      `system_account: ${accounts.systemAccount}`,
      // What was pushed to the resolver survives the broker; a preloaded account is taken only where there is no newer one.
      `resolver { type: full, dir: ${JSON.stringify(options.resolverDir)}, allow_delete: true, interval: "2m" }`,
      'resolver_preload {',
      ...(await Promise.all(preload.map(async (account) => `  ${account}: ${await jwtOf(account)}`))),
      '}',
      '',
    ].join('\n'),
  });
  return { processes, migrate, nats, postgres, operator };
}

const MASTER_KEY = /^kms\.([^.]+\.)?key$/;
/** The current one and those beside it, while one replaces another; what is no longer in the store goes here, too. */
async function copyMasterKeys(current: string, to: string): Promise<void> {
  const store = dirname(current);
  const kept = (await readdir(store)).filter((name) => MASTER_KEY.test(name));
  await write(to, Object.fromEntries(await Promise.all(kept.map(async (name) => [name, await readFile(join(store, name), 'utf8')]))));
  const gone = (await readdir(to)).filter((name) => MASTER_KEY.test(name) && !kept.includes(name));
  await Promise.all(gone.map((name) => rm(join(to, name))));
}

/** Written only where something differs: a file that a process has open stays as it is. */
async function write(folder: string, files: Record<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    if ((await readIfThere(path)) !== text) await writeWhole(path, text);
  }
}

/** A line for `node --env-file`. */
const variable = (name: string, value: string) => `${name}="${value}"\n`;

function withoutLogin(text: string): string {
  if (!URL.canParse(text) || !['postgres:', 'postgresql:'].includes(new URL(text).protocol))
    throw new Error('the URL of PostgreSQL cannot be used');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') throw new Error('the URL of PostgreSQL must not hold a login: each process gets its own');
  if (url.pathname !== '/tenantry') throw new Error('the URL of PostgreSQL must name the database "tenantry"');
  return url.href;
}

function withLogin(text: string, user: string, password: string): string {
  const url = new URL(text);
  url.username = user;
  url.password = password;
  return url.href;
}

function withDatabase(text: string, database: string): string {
  const url = new URL(text);
  url.pathname = `/${database}`;
  return url.href;
}
