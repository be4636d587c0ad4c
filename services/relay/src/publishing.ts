import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { EventStore } from '@tenantry/event-store/port';
import { JetStreamBroker } from '@tenantry/messaging/jetstream-broker';
import { PostgresLeaseTable } from '@tenantry/messaging/leases';
import { inboxPrefixOf } from '@tenantry/messaging/nats';
import { PostgresRelayStorage } from '@tenantry/messaging/postgres-relay-storage';
import { Relay } from '@tenantry/messaging/relay';
import { Logger } from '@tenantry/observability/logger';
import { observed } from '@tenantry/observability/metrics';
import { Bus } from '@tenantry/service/bus';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { ReadinessCheck } from '@tenantry/service/health';
import { ownerName } from '@tenantry/service/owner';
import { readRelayEnvironment } from './config.js';

/** Publishes for as long as the process runs. */
@Injectable()
export class Publishing extends ReadinessCheck implements OnApplicationBootstrap, OnModuleDestroy {
  override readonly name = 'publishing';
  private readonly relay: Relay;

  constructor(database: Database, store: EventStore, bus: Bus, logger: Logger, environment: Environment) {
    super();
    const owner = ownerName('relay', environment.values);
    const { streamReplicas: replicas } = readRelayEnvironment();
    const broker = new JetStreamBroker({
      nats: bus.connection,
      logger,
      replicas,
      publishTimeoutMs: 5_000,
      inboxPrefix: inboxPrefixOf('relay'),
    });
    const storage = new PostgresRelayStorage(database.pool, 'relay');
    const leases = new PostgresLeaseTable(database.pool, 'relay');
    this.relay = new Relay({ store, broker, storage, leases, logger, owner });
    const { relay } = this;
    observed('tenantry_relay_published_total', 'Messages that the broker acknowledged', () => relay.measure().published, true);
    observed('tenantry_relay_republished_total', 'Of those, published again', () => relay.measure().republished, true);
    observed('tenantry_relay_waiting_logs', 'Logs that have something to publish', () => relay.measure().waiting);
    observed('tenantry_relay_epoch', 'Rises each time the broker was found to have lost something', () => relay.measure().epoch);
  }

  /** Rejects while nothing gets through to the broker. */
  override async check(): Promise<void> {
    const trouble = this.relay.trouble();
    if (trouble !== null) throw new Error(trouble);
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.relay.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.relay.stop();
  }
}
