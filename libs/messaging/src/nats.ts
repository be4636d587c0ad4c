import { readFile } from 'node:fs/promises';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import type { Logger } from '@tenantry/observability/logger';

export interface NatsSettings {
  url: string;
  /** Name of the process: its connection's name, and `_INBOX_<process>` is the only inbox it may subscribe to. */
  process: string;
  /** A `.creds` file; none where the server asks for nothing. */
  credsFile?: string;
  logger: Logger;
}

/** The only inboxes that a process may hear. */
export const inboxPrefixOf = (process: string): string => `_INBOX_${process}`;

/**
 * A connection that is there for ever: it waits for a server that is not up yet and comes back after every loss,
 * with jitter, so that a restarted broker isn't met by everyone at once. What is published while it is away is lost (the client empties
 * its buffer at every dial): nothing that matters may count on it, and what is only a wake-up is made good by the next poll.
 */
export async function connectNats({ url, process, credsFile, logger }: NatsSettings): Promise<NatsConnection> {
  const connection = await connect({
    servers: url.split(','),
    name: process,
    inboxPrefix: inboxPrefixOf(process),
    authenticator: credsFile === undefined ? undefined : credsAuthenticator(await readFile(credsFile)),
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 500,
    reconnectJitterTLS: 500,
    pingInterval: 20_000,
    ignoreAuthErrorAbort: true,
    // Else every request and JetStream publish makes an Error for its stack.
    noAsyncTraces: true,
    // Plain text is never good enough where TLS was asked for, whatever the server offers.
    tls: url.startsWith('tls://') ? {} : undefined,
  });
  void logStatus(connection, logger);
  return connection;
}

async function logStatus(connection: NatsConnection, logger: Logger): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') logger.warn({ server: status.server }, 'NATS is away');
    else if (status.type === 'reconnect') logger.info({ server: status.server }, 'NATS is back');
    else if (status.type === 'error') logger.error({ err: status.error }, 'NATS refused something');
    else if (status.type === 'slowConsumer')
      logger.warn({ subject: status.sub.getSubject(), pending: status.pending }, 'NATS messages are piling up');
    else if (status.type === 'close') logger.info({}, 'NATS connection closed');
  }
}
