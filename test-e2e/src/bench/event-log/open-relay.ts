import type { NatsConnection } from '@nats-io/transport-node';
import type { EventStore } from '@tenantry/event-store/port';
import { JetStreamBroker } from '@tenantry/messaging/jetstream-broker';
import { PostgresLeaseTable } from '@tenantry/messaging/leases';
import { inboxPrefixOf } from '@tenantry/messaging/nats';
import { PostgresRelayStorage } from '@tenantry/messaging/postgres-relay-storage';
import { Relay } from '@tenantry/messaging/relay';
import { createLogger, silentLogger } from '@tenantry/observability/logger';
import { migrationFiles, repositoryRoot } from '@tenantry/tenancy/migration-files';
import type { Pool } from 'pg';

/** A relay with fresh tables of its own, not started. */
export async function openRelay(pool: Pool, store: EventStore, nats: NatsConnection): Promise<Relay> {
  await pool.query('DROP SCHEMA IF EXISTS relay CASCADE; CREATE SCHEMA relay');
  for (const { sql } of await migrationFiles(`${repositoryRoot}services/relay/migrations/service`))
    await pool.query(`SET search_path TO relay; ${sql}; RESET search_path`);
  return new Relay({
    store,
    broker: new JetStreamBroker({ nats, logger: silentLogger, replicas: 1, publishTimeoutMs: 5_000, inboxPrefix: inboxPrefixOf('bench') }),
    storage: new PostgresRelayStorage(pool, 'relay'),
    leases: new PostgresLeaseTable(pool, 'relay'),
    // Something that it has to try again belongs to the figures.
    logger: createLogger({ service: 'relay', level: 'warn' }),
    owner: 'bench',
  });
}
