import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { Module, type ModuleMetadata } from '@nestjs/common';
import { DiscoveryService, NestFactory } from '@nestjs/core';
import { type Clock, SystemClock } from '@tenantry/contracts/clock';
import { ensureKeys, openKeys } from '@tenantry/contracts/identity/operations';
import { newId } from '@tenantry/contracts/ids';
import { consumerServices } from '@tenantry/contracts/platform/consumers';
import { faces } from '@tenantry/contracts/registry';
import type { ServiceName } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { CachingKeyring } from '@tenantry/crypto/remote-keyring';
import { TokenSigner, TokenVerifier } from '@tenantry/crypto/token';
import { type Consumer, consumerOf } from '@tenantry/messaging/consumer';
import { connectNats } from '@tenantry/messaging/nats';
import { Oversight } from '@tenantry/messaging/oversight';
import { PostgresRunnerStorage } from '@tenantry/messaging/postgres-storage';
import { Reservations } from '@tenantry/messaging/reservations';
import type { RpcClient } from '@tenantry/messaging/rpc';
import { NatsRpcClient } from '@tenantry/messaging/rpc-client';
import { SystemScheduler } from '@tenantry/messaging/scheduler';
import { DefaultTimers } from '@tenantry/messaging/timers';
import { ReadPosition } from '@tenantry/messaging/wait';
import { armFaults } from '@tenantry/observability/fault';
import { createLogger, type Logger } from '@tenantry/observability/logger';
import { collectProcessMetrics } from '@tenantry/observability/metrics';
import { startTracing } from '@tenantry/observability/tracing';
import { Tenants } from '@tenantry/tenancy/tenants';
import { widestScope } from './authorize.js';
import type { Bus } from './bus.js';
import { type ProcessEnvironment, readEnvironment } from './config.js';
import type { Environment } from './environment.js';
import { HealthRoute, HealthServer, ReadinessCheck } from './health.js';
import { openLogStore } from './log-store.js';
import { MeasuredEventStore, measureLag } from './measured.js';
import { NestLogger } from './nest-logger.js';
import { ownerName } from './owner.js';
import { type KeyringSource, platformModule } from './platform.module.js';
import { createPool, PostgresDatabase, untilPostgresAnswers } from './postgres.js';
import { RpcServer } from './rpc-server.js';
import { Worker, workOf } from './worker.js';

export interface BootstrapOptions {
  service: ServiceName;
  /** The service's feature modules. */
  imports: NonNullable<ModuleMetadata['imports']>;
  /** Other than asking identity: only identity has its own. */
  keyring?: KeyringSource;
  /** Other than the system's: for tests. */
  clock?: Clock;
  /** Connections of this process to the control-plane database. Default 10, and 4 for the log. */
  pools?: { database?: number; log?: number };
}

/** After SIGTERM, everything is over within this time. */
const SHUTDOWN_MS = 10_000;
const started = performance.now();

/** Runs one service until it is told to stop. An error that nobody expected ends the process: its supervisor starts it again, and everything that it did is resumed. */
export async function bootstrap(options: BootstrapOptions): Promise<void> {
  const environment = readOrExit();
  const logger = createLogger({
    service: options.service,
    level: environment.TENANTRY_LOG_LEVEL,
    fields: { replica: environment.TENANTRY_REPLICA },
  });
  const giveUp = (error: unknown, message: string): never => {
    logger.fatal({ err: error }, message);
    process.exit(1);
  };
  process.on('uncaughtException', (error) => giveUp(error, 'an error was not caught'));
  process.on('unhandledRejection', (error) => giveUp(error, 'a rejection was not handled'));
  try {
    await run(options, environment, logger);
  } catch (error) {
    giveUp(error, 'the service could not start');
  }
}

function readOrExit(): ProcessEnvironment {
  try {
    return readEnvironment();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
}

async function run(options: BootstrapOptions, values: ProcessEnvironment, logger: Logger): Promise<void> {
  const { service } = options;
  armFaults(service, values.TENANTRY_DATA_DIR);
  collectProcessMetrics(service);
  const health = new HealthServer(logger);
  const [stopTracing] = await Promise.all([startTracing(service), health.listen(values.TENANTRY_HEALTH_HOST, values.TENANTRY_HEALTH_PORT)]);

  // A signal that comes while we start ends the process when starting is over.
  const stopping = new Promise<string>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });

  const schema = service.replaceAll('-', '_');
  const pool = createPool({ url: values.TENANTRY_POSTGRES_URL, name: `tenantry-${service}`, max: options.pools?.database ?? 10, logger });
  // The log has connections of its own: a handler that holds one while it appends must not wait for another such handler.
  const logPool = createPool({ url: values.TENANTRY_POSTGRES_URL, name: `tenantry-${service}-log`, max: options.pools?.log ?? 4, logger });
  const [connection, verifier, signer] = await Promise.all([
    connectNats({ url: values.TENANTRY_NATS_URL, process: service, credsFile: values.TENANTRY_NATS_CREDS_FILE, logger }),
    readFile(values.TENANTRY_TOKEN_PUBLIC_KEY_FILE, 'utf8').then((pem) => new TokenVerifier(pem, service)),
    values.TENANTRY_TOKEN_PRIVATE_KEY_FILE && readFile(values.TENANTRY_TOKEN_PRIVATE_KEY_FILE, 'utf8').then((pem) => new TokenSigner(pem)),
    untilPostgresAnswers(pool, logger),
  ]);
  let going = false;
  void connection.closed().then((error) => {
    if (going) return;
    logger.fatal({ err: error }, 'the connection to NATS was closed for good');
    process.exit(1);
  });

  const log = await openLogStore(values.TENANTRY_EVENTSTORE_URL, logPool, `tenantry-${service}-${values.TENANTRY_REPLICA}`);
  const store = new MeasuredEventStore(log.store);
  const clock = options.clock ?? new SystemClock();
  const rpc = new NatsRpcClient({
    connection,
    process: service,
    sign: signer ? (principal, audience) => signer.sign(principal, audience) : undefined,
  });
  const instance = newId();
  let consumers: Consumer[] = [];
  const asConsumer = consumerServices.find((name) => name === service);
  const oversight = asConsumer ? new Oversight(pool, asConsumer, schema, () => consumers) : null;
  if (oversight) measureLag(oversight, logger);
  const platform = platformModule(
    service,
    {
      environment: { values } satisfies Environment,
      logger,
      clock,
      database: new PostgresDatabase(pool),
      bus: { connection, instance } satisfies Bus,
      rpc,
      store,
      timers: new DefaultTimers(pool, schema),
      reservations: new Reservations(pool, schema),
      oversight,
    },
    options.keyring ?? remoteKeyring(rpc),
  );

  let positions: ReadPosition | null = null;
  const server = new RpcServer({
    service,
    instance,
    connection,
    verify: (token) => verifier.verify(token),
    scopeOf: widestScope(faces),
    // Which rows a query reads, only its handler knows: so all that this service has of the tenant.
    caughtUp: async ({ tenantId, position }) => {
      const both = [positions?.waitFor('service', tenantId, position), positions?.waitFor('tenant', tenantId, position)];
      return (await Promise.all(both)).every((reached) => reached !== false);
    },
    logger,
    listening: values.TENANTRY_ROLE !== 'worker',
  });

  @Module({ imports: [platform, ...options.imports] })
  class Root {}
  const app = await NestFactory.createMicroservice(Root, { strategy: server, logger: new NestLogger(logger), abortOnError: false });

  // What is left of an erased tenant's keys in memory, or encrypts with keys that have newer ones. A message that is lost costs the cache's five minutes.
  const keys = app.get(Keyring);
  for (const type of ['tenant.TenantErased', 'identity.TenantKeyRotated'])
    connection.subscribe(`tenantry.events.*.${type}`, {
      callback: (error, { subject }) => {
        if (error === null) keys.forget(subject.split('.')[2] ?? '');
      },
    });

  const providers = app
    .get(DiscoveryService, { strict: false })
    .getProviders()
    .map(({ instance }) => instance as unknown);
  const work = workOf(providers);
  consumers = (['service', 'tenant'] as const).flatMap(
    (placement) => consumerOf(service, placement, work.projections, work.processes) ?? [],
  );
  const parts = {
    service,
    schema,
    work,
    pool,
    log: store,
    storage: new PostgresRunnerStorage(pool, schema, app.get(Tenants)),
    scheduler: new SystemScheduler(),
    nats: connection,
    clock,
    logger,
    owner: ownerName(service, values),
  };
  const worker = values.TENANTRY_ROLE === 'api' ? null : new Worker(parts);
  positions = new ReadPosition({ ...parts, ...work, store, runner: worker?.runner });
  store.onAppended = (tenants) => {
    // Of a copy, the relay knows when there is something to publish.
    if (!log.isCopied) connection.publish('tenantry.nudge', JSON.stringify({ tenants }));
    worker?.runner.appended(tenants);
  };
  // Runs the modules' hooks as well (once: `app.init()` before it would run them a second time).
  await app.listen();
  await worker?.start();
  health.ready(
    [
      { name: 'nats', check: () => connection.flush() },
      { name: 'postgres', check: async () => void (await pool.query('SELECT 1')) },
      ...log.checks,
      ...providers.filter((provider) => provider instanceof ReadinessCheck).map((own) => ({ name: own.name, check: () => own.check() })),
    ],
    providers.filter((provider) => provider instanceof HealthRoute),
  );
  logger.info({ role: values.TENANTRY_ROLE, startedMs: Math.round(performance.now() - started) }, 'ready');

  const signal = await stopping;
  going = true;
  logger.info({ signal }, 'going');
  setTimeout(() => {
    logger.error('not everything could be ended in time');
    process.exit(1);
  }, SHUTDOWN_MS - 500).unref();
  health.notReady();
  await Promise.allSettled([worker?.stop(), app.close()]);
  await Promise.allSettled([app.get(Tenants).close(), connection.drain(), stopTracing(), log.close()]);
  await Promise.allSettled([pool.end(), logPool.end()]);
  health.close();
  logger.info('gone');
  process.exit(0);
}

/** As many as the operations take. */
const KEYS_AT_ONCE = 100;
const portionsOf = (names: readonly string[]) =>
  Array.from({ length: Math.ceil(names.length / KEYS_AT_ONCE) }, (_, index) =>
    names.slice(index * KEYS_AT_ONCE, (index + 1) * KEYS_AT_ONCE),
  );
const inBytes = <K extends { key: string }>({ key, ...rest }: K) => ({ ...rest, key: Buffer.from(key, 'base64') });
/** Keys from identity, over the bus. */
const remoteKeyring = (rpc: RpcClient): KeyringSource => ({
  useFactory: () =>
    new CachingKeyring({
      ensure: async (tenantId, subjects) => {
        const asked = portionsOf(subjects).map((portion) =>
          rpc.call(ensureKeys, { tenantId, subjects: portion }, { askAgainAfterMs: 2_500 }),
        );
        return (await Promise.all(asked)).flatMap(({ keys }) => keys.map(inBytes));
      },
      open: async (tenantId, ids) => {
        const asked = portionsOf(ids).map((portion) => rpc.call(openKeys, { tenantId, ids: portion }, { askAgainAfterMs: 2_500 }));
        return (await Promise.all(asked)).flatMap(({ keys }) => keys.map(inBytes));
      },
    }),
});
