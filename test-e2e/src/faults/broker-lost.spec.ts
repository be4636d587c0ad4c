import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { encodeUser } from '@nats-io/jwt';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { connect, jwtAuthenticator } from '@nats-io/transport-node';
import { eventually } from '@tenantry/testing/eventually';
import { describe, it } from 'vitest';
import type { System } from '../harness/system.js';
import { kill, whileNothingRestarts } from './processes.js';
import { type Trial, trial } from './trial.js';

const stream = 'TENANTRY_EVENTS';

/** As an operator who may do anything in the platform's account: no process of the platform may empty or delete the stream. */
async function asOperator(
  system: System,
  work: (manager: Awaited<ReturnType<typeof jetstreamManager>>) => Promise<unknown>,
): Promise<void> {
  const { natsUrl } = await system.run();
  const seed = await readFile(join(system.dataDir, 'nats', 'keys', 'platform.nk'), 'utf8');
  const user = createUser();
  const jwt = await encodeUser('operator', user, fromSeed(new TextEncoder().encode(seed.trim())));
  const connection = await connect({ servers: natsUrl, authenticator: jwtAuthenticator(jwt, user.getSeed()) });
  try {
    await work(await jetstreamManager(connection));
  } finally {
    await connection.close();
  }
}

/** The relay makes the stream again when it notices that it is gone. */
const whenThere = <T>(act: () => Promise<T>) => eventually(act, { timeoutMs: 60_000, what: 'the stream to be there' });

const twice = async ({ random, workload }: Trial, blow: () => Promise<void>) => {
  for (let n = 0; n < 2; n++) {
    await workload.after(random.int(60, 140));
    await blow();
  }
};

describe('the broker loses what it had, under load', () => {
  it('its process is killed', async () => {
    await trial('broker-killed', {}, (trial) => twice(trial, () => kill(trial.system, 'nats')));
  });

  it('its folder is wiped', async () => {
    await trial('broker-wiped', {}, (trial) =>
      twice(trial, () =>
        whileNothingRestarts(trial.system, async () => {
          await kill(trial.system, 'nats');
          const folder = join(trial.system.dataDir, 'nats', 'jetstream');
          await rename(folder, `${folder}.gone`);
          await rm(`${folder}.gone`, { recursive: true });
        }),
      ),
    );
  });

  it('the stream is purged', async () => {
    await trial('stream-purged', {}, (trial) => twice(trial, () => asOperator(trial.system, (manager) => manager.streams.purge(stream))));
  });

  it('the stream is deleted', async () => {
    await trial('stream-deleted', {}, (trial) =>
      twice(trial, () => asOperator(trial.system, (manager) => whenThere(() => manager.streams.delete(stream)))),
    );
  });

  it('the stream is deleted and made again, empty', async () => {
    await trial('stream-made-again', {}, (trial) =>
      twice(trial, () =>
        asOperator(trial.system, async (manager) => {
          const { config } = await whenThere(() => manager.streams.info(stream));
          await manager.streams.delete(stream);
          await manager.streams.add(config);
        }),
      ),
    );
  });
});
