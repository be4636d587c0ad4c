import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ServiceName } from '@tenantry/contracts/route';
import { BLUEPRINTS } from '@tenantry/tenancy/names';
import type { DataFolder } from './files.js';
import type { NatsAccounts } from './nats-accounts.js';
import type { KeyFiles } from './secrets.js';
import type { Settings } from './settings.js';
import type { Program } from './supervisor.js';

/** The checkout. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));
const leash = new URL('./leash.js', import.meta.url).href;

/** Of our own environment, what concerns every program. Anything else (a superuser's URL, somebody's tokens) stays here. */
const inherited = /^(PATH|HOME|LANG|LC_.*|TMPDIR|TZ|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|OTEL_.*|(HTTPS?|NO)_PROXY)$/i;
/** Of `TENANTRY_…`, what the launcher itself deals with. */
const ours = new Set(['TENANTRY_POSTGRES_URL', 'TENANTRY_REPLICAS', 'TENANTRY_DATA_DIR', 'TENANTRY_NATS_URL', 'TENANTRY_WATCH_PARENT']);

/**
 * Node lets what is newly allocated grow to three times 32 MB before it looks through it: 130 MB of each process, most of them garbage. This
 * costs no CPU time that could be measured. The image says the same.
 */
const SMALL_YOUNG_GENERATION = '--max-semi-space-size=8';

export interface ServiceContext {
  folder: DataFolder;
  settings: Settings;
  postgresUrl(login: ServiceName | typeof BLUEPRINTS): string;
  natsUrl: string;
  accounts: NatsAccounts;
  keys: KeyFiles;
  gatewayUrl: string;
}

export function service(
  name: ServiceName,
  replica: number,
  ports: { health: number; http: number | undefined },
  context: ServiceContext,
): Program {
  const healthUrl = `http://127.0.0.1:${ports.health}/readyz`;
  const env = serviceEnvironment(name, replica, ports, context, process.env);
  return {
    name,
    replica,
    healthUrl,
    stopSignal: 'SIGTERM',
    stopGraceMs: 12_000,
    spawn: async () =>
      spawn(
        process.execPath,
        // The last word is for whoever looks at the list of processes, the launcher after a crash included.
        ['--enable-source-maps', '--import', leash, join(root, 'services', name, 'dist', 'main.js'), `--data-dir=${context.folder.path}`],
        { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true },
      ),
    ready: (failed) => untilReady(healthUrl, failed),
  };
}

/** Everything that a process is told; each gets only the credentials and keys that are its own. */
export function serviceEnvironment(
  name: ServiceName,
  replica: number,
  ports: { health: number; http: number | undefined },
  { folder, settings, postgresUrl, natsUrl, accounts, keys, gatewayUrl }: ServiceContext,
  own: NodeJS.ProcessEnv,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [variable, value] of Object.entries(own)) {
    if (value !== undefined && (inherited.test(variable) || (variable.startsWith('TENANTRY_') && !ours.has(variable))))
      env[variable] = value;
  }
  // Files are kept by one service; what logs in to a bucket is nobody else's.
  if (name === 'provisioning' && env['TENANTRY_STORAGE_URL'] !== undefined) {
    for (const [variable, value] of Object.entries(own)) if (value !== undefined && variable.startsWith('AWS_')) env[variable] = value;
  }
  const creds = accounts.creds.get(name);
  if (creds === undefined) throw new Error(`no NATS credentials for ${name}`);
  Object.assign(env, {
    NODE_ENV: 'production',
    // What was set outside comes last, and so counts.
    NODE_OPTIONS: [SMALL_YOUNG_GENERATION, env['NODE_OPTIONS']].filter(Boolean).join(' '),
    // Compiled code is kept beside the packages: every data folder of this checkout starts as fast as the second time.
    NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'tenantry-compile'),
    TENANTRY_POSTGRES_URL: postgresUrl(name),
    TENANTRY_NATS_URL: natsUrl,
    TENANTRY_NATS_CREDS_FILE: creds,
    TENANTRY_HEALTH_HOST: '127.0.0.1',
    TENANTRY_HEALTH_PORT: String(ports.health),
    TENANTRY_DATA_DIR: folder.path,
    TENANTRY_BASE_DOMAIN: settings.baseDomain,
    TENANTRY_LOG_LEVEL: settings.logLevel,
    TENANTRY_REPLICA: String(replica),
    TENANTRY_ROLE: 'both',
    TENANTRY_TOKEN_PUBLIC_KEY_FILE: keys.tokenPublic,
    TENANTRY_GATEWAY_URL: gatewayUrl,
    TENANTRY_TEST: settings.test ? '1' : '0',
  });
  if (name === 'provisioning') env['TENANTRY_BLUEPRINTS_POSTGRES_URL'] = postgresUrl(BLUEPRINTS);
  if (name === 'gateway') Object.assign(env, { TENANTRY_PORT: String(ports.http), TENANTRY_TOKEN_PRIVATE_KEY_FILE: keys.tokenPrivate });
  if (name === 'identity') {
    Object.assign(env, {
      TENANTRY_KMS_KEY_FILE: keys.kms,
      TENANTRY_BOOTSTRAP_KEY_FILE: keys.bootstrapApiKey,
      TENANTRY_NATS_OPERATOR_SEED_FILE: accounts.operatorSeedFile,
      TENANTRY_NATS_PLATFORM_SEED_FILE: accounts.platformSeedFile,
      TENANTRY_NATS_SYSTEM_CREDS_FILE: accounts.systemCreds,
    });
  }
  return env;
}

async function untilReady(url: string, failed: () => string | undefined, timeoutMs = 60_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  let last = 'no answer';
  while (performance.now() < end) {
    const reason = failed();
    if (reason !== undefined) throw new Error(reason);
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      const text = await answer.text();
      if (answer.ok) return;
      last = `${answer.status} ${text.slice(0, 300)}`;
    } catch (error) {
      last = ((error as Error).cause as Error | undefined)?.message ?? (error as Error).message;
    }
    await sleep(100);
  }
  throw new Error(`${url} did not answer 200 within ${timeoutMs} ms: ${last}`);
}
