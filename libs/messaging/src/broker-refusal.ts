import { setTimeout as sleep } from 'node:timers/promises';
import { connect, credsAuthenticator, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';

const CONNECT_MS = 3_000;

export interface BrokerAttempt {
  what: 'publish' | 'subscribe';
  subject: string;
}

/** A connection for attempts alone: it does not come back, and ends with its first trouble. @param credentials text of a `.creds` file */
export const connectOnce = (url: string, credentials?: { text: string | Uint8Array; inboxPrefix: string }): Promise<NatsConnection> =>
  connect({
    ...{ servers: url.split(','), reconnect: false, timeout: CONNECT_MS, name: 'isolation-check' },
    tls: url.startsWith('tls://') ? {} : undefined,
    ...(credentials && {
      authenticator: credsAuthenticator(
        typeof credentials.text === 'string' ? new TextEncoder().encode(credentials.text) : credentials.text,
      ),
      inboxPrefix: credentials.inboxPrefix,
    }),
  });

/**
 * Whether the broker says no, for each of the attempts. What it takes is an empty message; nothing is done with what it delivers.
 * @param settleMs how long a refusal's dispatch may take after the broker's answer to the ping that follows it
 */
export async function refusals<A extends BrokerAttempt>(
  connection: NatsConnection,
  attempts: readonly A[],
  settleMs = 20,
): Promise<(A & { refused: boolean })[]> {
  const refused = new Set<string>();
  const status = connection.status();
  const listening = (async () => {
    for await (const one of status)
      if (one.type === 'error' && one.error instanceof PermissionViolationError)
        refused.add(`${one.error.operation === 'publish' ? 'publish' : 'subscribe'} ${one.error.subject}`);
  })();
  const subscriptions = attempts
    .filter(({ what }) => what === 'subscribe')
    .map(({ subject }) => connection.subscribe(subject, { callback: () => undefined }));
  for (const { what, subject } of attempts) if (what === 'publish') connection.publish(subject, '');
  await connection.flush();
  await sleep(settleMs);
  for (const subscription of subscriptions) subscription.unsubscribe();
  // The iterator of a status has a `stop` that its type does not say; without it this loop would go on with the connection.
  (status as unknown as { stop(): void }).stop();
  await listening;
  return attempts.map((attempt) => ({ ...attempt, refused: refused.has(`${attempt.what} ${attempt.subject}`) }));
}
