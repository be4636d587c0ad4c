import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeUser, fmtCreds } from '@nats-io/jwt';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';

/** May do everything in the platform's account, which no process of ours may: for tests that break things on purpose. */
export async function brokerAdmin(dataDir: string, natsUrl: string): Promise<NatsConnection> {
  const account = fromSeed(await readFile(join(dataDir, 'nats/keys/platform.nk')).then((seed) => Buffer.from(seed.toString().trim())));
  const user = createUser();
  const jwt = await encodeUser('test', user, account, { subs: -1, data: -1, payload: -1 });
  return connect({
    servers: natsUrl,
    authenticator: credsAuthenticator(fmtCreds(jwt, user)),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
  });
}
