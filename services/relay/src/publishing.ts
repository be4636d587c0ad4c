import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { EventStore } from '@tenantry/event-store/port';
import { JetStreamBroker } from '@tenantry/messaging/jetstream-broker';
import { PostgresLeaseTable } from '@tenantry/messaging/leases';
import { PostgresRelayStorage } from '@tenantry/messaging/postgres-relay-storage';
import { Relay } from '@tenantry/messaging/relay';
import { Logger } from '@tenantry/observability/logger';
import { Bus } from '@tenantry/service/bus';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { ownerName } from '@tenantry/service/owner';
import { readRelayEnvironment } from './config.js';

/** Publishes for as long as the process runs. */
@Injectable()
export class Publishing implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly relay: Relay;

  constructor(database: Database, store: EventStore, bus: Bus, logger: Logger, environment: Environment) {
    const owner = ownerName('relay', environment.values);
    const { streamReplicas: replicas } = readRelayEnvironment();
    const broker = new JetStreamBroker({ nats: bus.connection, logger, replicas, publishTimeoutMs: 5_000 });
    const storage = new PostgresRelayStorage(database.pool, 'relay');
    const leases = new PostgresLeaseTable(database.pool, 'relay');
    this.relay = new Relay({ store, broker, storage, leases, logger, owner });
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.relay.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.relay.stop();
  }
}
