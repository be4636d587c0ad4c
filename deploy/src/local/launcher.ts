import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ServiceName, services } from '@tenantry/contracts/route';
import { migrate } from '@tenantry/tenancy/migrate';
import type { BLUEPRINTS } from '@tenantry/tenancy/names';
import { untilListening } from '@tenantry/testing/nats';
import { freePort, portIsFree } from '@tenantry/testing/ports';
import { type DataFolder, dataFolder, makeFolders, writeWhole } from './files.js';
import { endLeftovers } from './leftovers.js';
import { type Lock, takeLock } from './lock.js';
import { type NatsAccounts, prepareNatsAccounts } from './nats-accounts.js';
import { loadAccount, natsServer, writeNatsConfig } from './nats-server.js';
import { choosePorts } from './ports.js';
import { type EmbeddedPostgres, embeddedPostgres } from './postgres.js';
import { PublicKeysCopy } from './public-keys.js';
import { prepareKeys, prepareSecrets } from './secrets.js';
import { root, service } from './services.js';
import type { Settings } from './settings.js';
import { type Program, type RunningProcess, Supervisor } from './supervisor.js';
import { type Watchdog, watchdog } from './watchdog.js';

/** What `run.json` says: how to reach a running system, with its first credentials. */
export interface RunFile {
  gatewayUrl: string;
  consoleUrl: string;
  baseDomain: string;
  adminApiKey: string;
  adminEmail: string;
  adminPassword: string;
  postgresUrl: string;
  natsUrl: string;
  natsCredsFile: string;
  mailOutboxUrl: string;
  processes: RunningProcess[];
}

/** The whole system on one machine: brings it up, keeps it up, takes it down. */
export class Launcher {
  private readonly folder: DataFolder;
  private readonly supervisor: Supervisor;
  private readonly publicKeys: PublicKeysCopy;
  private lock: Lock | undefined;
  private dog: Watchdog | undefined;
  private stopping: Promise<void> | undefined;
  /** All but the processes, which change. Set when everything is ready. */
  private facts: Omit<RunFile, 'processes'> | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly settings: Settings,
    private readonly say: (text: string) => void,
  ) {
    this.folder = dataFolder(settings.dataDir);
    this.publicKeys = new PublicKeysCopy(this.folder.publicKeysFile, say);
    this.supervisor = new Supervisor(this.folder, say, () => this.writeRunFile());
  }

  /** Resolves when everything is ready and `run.json` is written. @throws Error with what is in the way; `stop` is to be called then too */
  async start(): Promise<RunFile> {
    const { settings, folder, say } = this;
    await makeFolders(folder);
    this.lock = await takeLock(folder.lockFile, folder.path);
    await rm(folder.runFile, { force: true });
    await endLeftovers(folder, say);
    const [secrets, keys, accounts] = await Promise.all([
      prepareSecrets(folder, settings.baseDomain),
      prepareKeys(folder),
      prepareNatsAccounts(folder),
    ]);

    const instances = services.flatMap((name) =>
      Array.from({ length: settings.replicas.get(name) ?? 1 }, (_, replica) => ({
        name,
        replica,
        label: replica === 0 ? name : `${name}-${replica}`,
      })),
    );
    const gateways = instances.filter(({ name, replica }) => name === 'gateway' && (replica > 0 || settings.port === 0));
    const ports = await choosePorts(folder, [
      'postgres',
      'nats',
      'nats-monitor',
      ...instances.map(({ label }) => `${label}-health`),
      ...gateways.map(({ label }) => label),
    ]);
    const port = (name: string) => ports.get(name)!;
    const gatewayPort = settings.port === 0 ? port('gateway') : settings.port;
    await this.refuseBusyPort(gatewayPort);

    const [postgres, natsUrl] = await Promise.all([
      this.startPostgres(secrets, port('postgres')),
      this.startNats(accounts, port('nats'), port('nats-monitor')),
    ]);
    this.checkStopping();
    const { applied, durationMs } = await migrate({ adminUrl: postgres.adminUrl, passwords: secrets.servicePasswords });
    if (applied.length > 0) say(`database brought up to date: ${applied.length} migrations in ${Math.round(durationMs)} ms`);
    this.checkStopping();

    const gatewayUrl = `http://127.0.0.1:${gatewayPort}`;
    const context = {
      folder,
      settings,
      natsUrl,
      accounts,
      keys: keys.files,
      gatewayUrl,
      postgresUrl: (name: ServiceName | typeof BLUEPRINTS) => loginUrl(postgres.adminUrl, name, secrets.servicePasswords[name]!),
    };
    await mkdir(join(root, 'node_modules', '.cache', 'tenantry-compile'), { recursive: true });
    await Promise.all(
      instances.map(({ name, replica, label }) => {
        const http = name !== 'gateway' ? undefined : label === 'gateway' ? gatewayPort : port(label);
        return this.supervisor.start(service(name, replica, { health: port(`${label}-health`), http }, context));
      }),
    );
    this.checkStopping();
    await this.publicKeys.start(gatewayUrl);

    this.facts = {
      gatewayUrl,
      consoleUrl: `${gatewayUrl}/console`,
      baseDomain: settings.baseDomain,
      adminApiKey: keys.adminApiKey,
      adminEmail: secrets.adminEmail,
      adminPassword: secrets.adminPassword,
      postgresUrl: controlPlaneUrl(postgres.adminUrl),
      natsUrl,
      natsCredsFile: accounts.readerCreds,
      mailOutboxUrl: `http://127.0.0.1:${port('identity-health')}/outbox`,
    };
    this.writeRunFile();
    await this.writing;
    return { ...this.facts, processes: this.supervisor.processes() };
  }

  /** Ends services, then the broker, then the database. Below 30 s; a second call waits for the first. */
  stop(): Promise<void> {
    this.stopping ??= (async () => {
      const infrastructure = ['nats', 'postgres'];
      await this.publicKeys.stop();
      await this.supervisor.stop((name) => !infrastructure.includes(name));
      await this.supervisor.stop((name) => name === 'nats');
      await this.supervisor.stop((name) => name === 'postgres');
      this.dog?.dismiss();
      await this.writing;
      if (this.lock) {
        await rm(this.folder.runFile, { force: true });
        await this.lock.release();
      }
    })();
    return this.stopping;
  }

  /** For an exit that can wait for nothing. */
  killAll(): void {
    this.supervisor.killAll();
  }

  private checkStopping(): void {
    if (this.stopping) throw new Stopped();
  }

  private async refuseBusyPort(port: number): Promise<void> {
    const host = process.env['TENANTRY_HTTP_HOST'] ?? '127.0.0.1';
    if (await portIsFree(port, host)) return;
    const free = await freePort();
    throw new Error(
      `Port ${port} of ${host} is busy. Remedy: end what listens there (ss -ltnp 'sport = :${port}'), or choose another: TENANTRY_PORT=${free} npm start`,
    );
  }

  private async startPostgres(secrets: { instanceId: string; postgresPassword: string }, port: number): Promise<{ adminUrl: string }> {
    if (this.settings.postgresUrl !== undefined) return { adminUrl: this.settings.postgresUrl };
    const postgres: EmbeddedPostgres = await embeddedPostgres(this.folder, secrets.instanceId, secrets.postgresPassword, port);
    this.dog = watchdog(this.folder.pids, this.folder.path, postgres.folder);
    await this.supervisor.start(postgres.program);
    return { adminUrl: postgres.url('postgres') };
  }

  private async startNats(accounts: NatsAccounts, port: number, monitorPort: number): Promise<string> {
    const config = await writeNatsConfig(this.folder, accounts, port, monitorPort);
    if (this.settings.natsUrl !== undefined) return this.settings.natsUrl;
    // With an embedded PostgreSQL there is one already, which looks after both.
    if (this.settings.postgresUrl !== undefined) this.dog = watchdog(this.folder.pids, this.folder.path, this.folder.path);
    const server = await natsServer(this.say);
    const program: Program = {
      name: 'nats',
      replica: 0,
      healthUrl: `http://127.0.0.1:${monitorPort}/healthz`,
      stopSignal: 'SIGTERM',
      stopGraceMs: 5_000,
      spawn: async () => spawn(server, ['-c', config], { cwd: this.folder.nats, stdio: ['ignore', 'pipe', 'pipe'], detached: true }),
      ready: (failed) => untilListening(port, failed),
      forConsole: (line) => (/\[(ERR|FTL)\]/.test(line) ? line.replace(/^\[\d+\] [\d/]+ [\d:.]+ /, '') : undefined),
    };
    await this.supervisor.start(program);
    const url = `nats://127.0.0.1:${port}`;
    await loadAccount(url, accounts.readerCreds);
    return url;
  }

  /** One write after the other: the last one says how it is. */
  private writeRunFile(): void {
    this.writing = this.writing
      .then(async () => {
        if (this.facts === undefined || this.stopping) return;
        const run: RunFile = { ...this.facts, processes: this.supervisor.processes() };
        await writeWhole(this.folder.runFile, `${JSON.stringify(run, null, 2)}\n`);
      })
      .catch((error: Error) => this.say(`run.json could not be written: ${error.message}`));
  }
}

/** The start was given up because the launcher was asked to end. */
export class Stopped extends Error {}

/** The control plane's database on the server of `adminUrl`. */
function controlPlaneUrl(adminUrl: string): string {
  const url = new URL(adminUrl);
  url.pathname = '/tenantry';
  return url.href;
}

function loginUrl(adminUrl: string, name: ServiceName | typeof BLUEPRINTS, password: string): string {
  const url = new URL(controlPlaneUrl(adminUrl));
  url.username = `tenantry_${name.replaceAll('-', '_')}`;
  url.password = password;
  return url.href;
}
