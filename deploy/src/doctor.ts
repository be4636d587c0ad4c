import { access, constants, readFile, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { faultPoints } from '@tenantry/contracts/fault-points';
import { services } from '@tenantry/contracts/route';
import { portIsFree } from '@tenantry/testing/ports';
import { postgresBinaries, serverAccount } from '@tenantry/testing/postgres-binaries';
import { isAlive } from '@tenantry/testing/process';
import pg from 'pg';
import { dataFolder, readIfThere } from './local/files.js';
import { findProgram, natsRemedy } from './local/nats-server.js';
import { isLauncher } from './local/process-identity.js';
import { root } from './local/services.js';
import { readSettings, type Settings, slips } from './local/settings.js';

/** `npm run doctor`: everything that keeps `npm start` from working here, each with its remedy. Ends with 1 when there is something. */
interface Finding {
  check: string;
  status: 'ok' | 'warning' | 'wrong';
  detail: string;
  remedy?: string;
}

const ok = (check: string, detail: string): Finding => ({ check, status: 'ok', detail });
const wrong = (check: string, detail: string, remedy: string): Finding => ({ check, status: 'wrong', detail, remedy });
const warning = (check: string, detail: string, remedy: string): Finding => ({ check, status: 'warning', detail, remedy });
const reason = (error: unknown) => (error instanceof Error ? error.message : String(error));

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--fault-points')) {
    for (const [process, points] of Object.entries(faultPoints)) for (const point of points) console.log(`${process}:${point}`);
    return;
  }
  const { settings, faults } = readSettings(process.env, process.cwd());
  const findings: Finding[] = [ok('Node', `${process.versions.node} (${process.execPath})`)];
  for (const { variable, fault, remedy } of faults) findings.push(wrong(variable, fault, remedy));
  for (const { variable, meant } of slips(process.env))
    findings.push(warning(variable, 'is not a variable of Tenantry', `is ${meant} meant?`));
  if (settings.fault && !settings.test) {
    findings.push(warning('TENANTRY_FAULT', 'has no effect without TENANTRY_TEST=1', 'set TENANTRY_TEST=1 or unset it'));
  }
  const usable = (variable: string) => !faults.some((fault) => fault.variable === variable);
  const running = await launcherOf(settings);
  const checks = [
    build(),
    memory(),
    usable('TENANTRY_POSTGRES_URL') ? postgres(settings) : [],
    usable('TENANTRY_NATS_URL') ? nats(settings) : [],
    usable('TENANTRY_EVENTSTORE_URL') ? kurrentDb(settings) : [],
    folder(settings, running),
    usable('TENANTRY_PORT') ? port(settings, running) : [],
  ];
  for (const found of await Promise.all(checks)) findings.push(...[found].flat());

  const marks = { ok: 'ok     ', warning: 'warning', wrong: 'WRONG  ' };
  for (const { check, status, detail, remedy } of findings) {
    console.log(`${marks[status]}  ${check}: ${detail}${remedy ? `\n           Remedy: ${remedy}` : ''}`);
  }
  const count = findings.filter((finding) => finding.status === 'wrong').length;
  console.log(count === 0 ? '\nNothing is in the way of npm start.' : `\n${count} to be put right.`);
  process.exitCode = count === 0 ? 0 : 1;
}

async function launcherOf(settings: Settings): Promise<number | undefined> {
  const pid = Number.parseInt((await readIfThere(dataFolder(settings.dataDir).lockFile).catch(() => undefined)) ?? '', 10);
  return pid > 0 && (await isAlive(pid)) && (await isLauncher(pid)) ? pid : undefined;
}

async function build(): Promise<Finding> {
  const missing: string[] = [];
  for (const name of services) {
    await access(join(root, 'services', name, 'dist', 'main.js')).catch(() => missing.push(name));
  }
  return missing.length === 0
    ? ok('Build', `${services.length} services`)
    : wrong('Build', `not built: ${missing.join(', ')}`, 'run npm run build and mend what it reports');
}

async function memory(): Promise<Finding[]> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kilobytes = Number(/^MemAvailable:\s+(\d+)/m.exec(text)?.[1] ?? Number.NaN);
  if (Number.isNaN(kilobytes)) return [];
  const megabytes = Math.round(kilobytes / 1024);
  return megabytes >= 1_500
    ? [ok('Memory', `${megabytes} MB free`)]
    : [warning('Memory', `${megabytes} MB free; everything together takes about 1200 MB`, 'end other programs')];
}

async function postgres(settings: Settings): Promise<Finding> {
  if (settings.postgresUrl === undefined) {
    try {
      const account = await serverAccount();
      const { version, postgres: path } = await postgresBinaries(account);
      return ok('PostgreSQL', `embedded ${version}, ${account ? `runs as ${account.name}` : 'runs as you'} (${path})`);
    } catch (error) {
      return wrong('PostgreSQL', reason(error), 'see above, or set TENANTRY_POSTGRES_URL to a server of your own');
    }
  }
  const client = new pg.Client({ connectionString: settings.postgresUrl, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined); // ended below
  try {
    await client.connect();
    const { rows } = await client.query<{ version: number; super: boolean; locks: number }>(
      `SELECT current_setting('server_version_num')::int AS version, rolsuper AS super, current_setting('max_locks_per_transaction')::int AS locks
       FROM pg_roles WHERE rolname = current_user`,
    );
    const { version, super: isSuper, locks } = rows[0]!;
    if (version < 180_000)
      return wrong('PostgreSQL', `the server is version ${Math.floor(version / 10_000)}`, 'use PostgreSQL 18 or newer');
    if (!isSuper)
      return wrong(
        'PostgreSQL',
        'the login of TENANTRY_POSTGRES_URL is no superuser',
        'give a superuser: databases and roles are made with it',
      );
    if (locks < 256) return wrong('PostgreSQL', `max_locks_per_transaction is ${locks}`, 'set it to 256 or more and restart the server');
    return ok('PostgreSQL', `server of TENANTRY_POSTGRES_URL, version ${Math.floor(version / 10_000)}`);
  } catch (error) {
    return wrong(
      'PostgreSQL',
      `the server of TENANTRY_POSTGRES_URL cannot be used: ${reason(error)}`,
      'check host, port, login and password',
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function nats(settings: Settings): Promise<Finding> {
  if (settings.natsUrl !== undefined) {
    const url = new URL(settings.natsUrl);
    // What greets us is enough; whether it knows our operator shows at the start.
    const answers = !(await portIsFree(Number(url.port || '4222'), url.hostname));
    return answers || !['127.0.0.1', 'localhost'].includes(url.hostname)
      ? ok('NATS', `server of TENANTRY_NATS_URL`)
      : wrong('NATS', `nothing listens at ${settings.natsUrl}`, 'start it, or unset TENANTRY_NATS_URL for a server of our own');
  }
  const found = findProgram('nats-server');
  if (found) return ok('NATS', found);
  if (process.getuid?.() === 0 && findProgram('apt-get')) return ok('NATS', 'nats-server is not there; npm start installs it with apt-get');
  return wrong('NATS', 'nats-server is not in PATH', natsRemedy());
}

async function kurrentDb({ eventStoreUrl }: Settings): Promise<Finding[]> {
  if (eventStoreUrl === undefined) return [];
  const { connectKurrentDb } = await import('@tenantry/event-store/adapters/kurrentdb/connection');
  const { Server } = await import('@tenantry/event-store/adapters/kurrentdb/server');
  let client: ReturnType<typeof connectKurrentDb> | undefined;
  try {
    client = connectKurrentDb(eventStoreUrl, 'tenantry-doctor');
    // What the relay does: follow everything.
    await new Server(client, { timeoutMs: 5_000 }).end();
    return [ok('KurrentDB', 'server of TENANTRY_EVENTSTORE_URL: answers, and lets the login read $all')];
  } catch (error) {
    return [
      wrong(
        'KurrentDB',
        `the server of TENANTRY_EVENTSTORE_URL cannot be used: ${reason(error)}`,
        'check host, port, tls, login and its rights',
      ),
    ];
  } finally {
    await client?.dispose();
  }
}

async function folder(settings: Settings, running: number | undefined): Promise<Finding[]> {
  const path = settings.dataDir;
  let existing = path;
  while (
    !(await access(existing).then(
      () => true,
      () => false,
    ))
  )
    existing = dirname(existing);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    return [wrong('TENANTRY_DATA_DIR', `${path} cannot be written to (${reason(error)})`, 'choose a folder that you may write to')];
  }
  const { bavail, bsize } = await statfs(existing);
  const megabytes = Math.round((bavail * bsize) / 1_048_576);
  const space =
    megabytes >= 1_000
      ? ok('Disk', `${megabytes} MB free`)
      : wrong('Disk', `${megabytes} MB free at ${existing}`, 'make at least 1000 MB free');
  const used = running === undefined ? path : `${path}, in use by the launcher with process id ${running}`;
  return [ok('Data folder', used), space];
}

async function port(settings: Settings, running: number | undefined): Promise<Finding> {
  if (settings.port === 0) return ok('Port', 'any free one');
  const host = process.env['TENANTRY_HTTP_HOST'] ?? '127.0.0.1';
  if (await portIsFree(settings.port, host)) return ok('Port', `${settings.port} is free`);
  if (running !== undefined) {
    const run = JSON.parse((await readIfThere(dataFolder(settings.dataDir).runFile)) ?? '{}') as { gatewayUrl?: string };
    if (run.gatewayUrl?.endsWith(`:${settings.port}`)) return ok('Port', `${settings.port} is the running gateway's`);
  }
  return wrong(
    'Port',
    `${settings.port} of ${host} is busy`,
    `end what listens there (ss -ltnp 'sport = :${settings.port}'), or set TENANTRY_PORT`,
  );
}

await main(process.argv.slice(2));
