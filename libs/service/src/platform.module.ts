import { type DynamicModule, Module, type ModuleMetadata, type Provider } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Clock } from '@tenantry/contracts/clock';
import type { ServiceName } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { EventStore } from '@tenantry/event-store/port';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { Timers } from '@tenantry/messaging/effects';
import { Oversight } from '@tenantry/messaging/oversight';
import { Reservations } from '@tenantry/messaging/reservations';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Logger } from '@tenantry/observability/logger';
import { observed } from '@tenantry/observability/metrics';
import { PostgresTenants } from '@tenantry/tenancy/postgres-tenants';
import { Storage } from '@tenantry/tenancy/storage';
import { Tenants } from '@tenantry/tenancy/tenants';
import { Bus } from './bus.js';
import { Database } from './database.js';
import { Environment } from './environment.js';
import { openStorage } from './open-storage.js';
import { oversightController } from './oversight.controller.js';
import { storesController } from './stores.controller.js';

/** What is there before Nest is: connections and what was made of them. */
export interface PlatformParts {
  environment: Environment;
  logger: Logger;
  clock: Clock;
  database: Database;
  bus: Bus;
  rpc: RpcClient;
  store: EventStore;
  timers: Timers;
  reservations: Reservations;
  /** Null where the service has no consumers. */
  oversight: Oversight | null;
}

/** Where the keys come from: other services ask identity, identity itself reads its own tables. */
export interface KeyringSource {
  imports?: ModuleMetadata['imports'];
  inject?: any[];
  useFactory: (...dependencies: any[]) => Keyring | Promise<Keyring>;
}

@Module({})
class PlatformModule {}

/** The tokens that every service's features may ask for; each is an abstract class. */
export function platformModule(service: ServiceName, parts: PlatformParts, keyring: KeyringSource): DynamicModule {
  const { environment, logger, database } = parts;
  const providers: Provider[] = [
    { provide: Environment, useValue: environment },
    { provide: Logger, useValue: logger },
    { provide: Clock, useValue: parts.clock },
    { provide: Database, useValue: database },
    { provide: Bus, useValue: parts.bus },
    { provide: RpcClient, useValue: parts.rpc },
    { provide: EventStore, useValue: parts.store },
    { provide: Timers, useValue: parts.timers },
    { provide: Reservations, useValue: parts.reservations },
    ...(parts.oversight ? [{ provide: Oversight, useValue: parts.oversight }] : []),
    { provide: Storage, useFactory: () => openStorage(environment.values) },
    { provide: Keyring, inject: keyring.inject ?? [], useFactory: keyring.useFactory },
    {
      provide: TenantLog,
      inject: [EventStore, Keyring],
      useFactory: (store: EventStore, keys: Keyring) => new DefaultTenantLog(store, keys),
    },
    {
      provide: Tenants,
      inject: [Keyring],
      useFactory: (keys: Keyring) => {
        const tenants = new PostgresTenants({
          pool: database.pool,
          url: environment.values.TENANTRY_POSTGRES_URL,
          keys,
          statementTimeoutMs: environment.values.TENANTRY_TENANT_STATEMENT_TIMEOUT_MS,
          connections: { inUse: environment.values.TENANTRY_TENANT_CONNECTIONS },
          onIdleError: (error) => logger.warn({ err: error }, 'a connection to an isolated database was lost'),
        });
        observed('tenantry_tenant_connections_in_use', "Connections in tenants' transactions", () => tenants.standing().inUse);
        observed(
          'tenantry_tenant_connections_waiting',
          'Transactions that wait for one of their own tenant',
          () => tenants.standing().waiting,
        );
        observed(
          'tenantry_tenant_connections_refused_total',
          'Transactions refused because too many of their tenant waited',
          () => tenants.standing().refused,
          true,
        );
        observed(
          'tenantry_database_connections_waiting',
          'Transactions that wait for a connection to a database other than the control plane’s',
          () => tenants.turns().waiting,
        );
        observed(
          'tenantry_database_connections_refused_total',
          'Transactions refused because all connections to such a database were in use',
          () => tenants.turns().refused,
          true,
        );
        return tenants;
      },
    },
  ];
  return {
    module: PlatformModule,
    global: true,
    imports: [DiscoveryModule, ...(keyring.imports ?? [])],
    providers,
    controllers: [storesController(service), ...(parts.oversight ? [oversightController(service)] : [])],
    exports: [DiscoveryModule, ...providers.map((provider) => (provider as { provide: any }).provide)],
  };
}
