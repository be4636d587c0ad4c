import { spawn } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import { eventually } from '@tenantry/testing/eventually';
import { untilListening } from '@tenantry/testing/nats';
import { startPostgres } from '@tenantry/testing/postgres';
import { stopChild } from '@tenantry/testing/process';
import { type Link, startTcpProxy } from '@tenantry/testing/tcp-proxy';
import { type System, startSystem } from '../harness/system.js';

export interface Between {
  /** Between the services and PostgreSQL, one per connection. */
  postgres?: () => Link;
  /** Between the services and NATS. */
  nats?: () => Link;
}

/**
 * A system whose services reach PostgreSQL and NATS through proxies. What `run()` says of both leads past the proxies.
 * Both servers belong to the test: nobody restarts them.
 */
export async function startProxied(env: Record<string, string>, between: Between): Promise<System> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tenantry-e2e-'));
  const ends: (() => Promise<unknown>)[] = [];
  const endAll = async () => {
    for (const end of ends.reverse()) await end();
  };
  try {
    const postgres = await startPostgres();
    ends.push(() => postgres.stop());
    const behind = new URL(postgres.url);
    const postgresProxy = await startTcpProxy({ target: () => Number(behind.port), link: between.postgres });
    ends.push(() => postgresProxy.stop());

    const nats = natsOf(dataDir);
    // Whether it comes up, the first connection through the proxy says.
    nats.catch(() => undefined);
    ends.push(() => nats.then(({ stop }) => stop()).catch(() => undefined));
    const natsProxy = await startTcpProxy({ target: async () => (await nats).port, link: between.nats });
    ends.push(() => natsProxy.stop());

    const url = new URL(postgres.url);
    url.port = String(postgresProxy.port);
    const system = await startSystem({
      ...env,
      TENANTRY_DATA_DIR: dataDir,
      TENANTRY_POSTGRES_URL: url.href,
      TENANTRY_NATS_URL: `nats://127.0.0.1:${natsProxy.port}`,
    });
    const { port } = await nats;
    return {
      ...system,
      run: async () => {
        const run = await system.run();
        const direct = new URL(run.postgresUrl);
        direct.port = behind.port;
        return { ...run, postgresUrl: direct.href, natsUrl: `nats://127.0.0.1:${port}` };
      },
      stop: async () => {
        const code = await system.stop();
        await endAll();
        return code;
      },
    };
  } catch (error) {
    await endAll();
    throw error;
  }
}

/** The launcher writes the broker's configuration, also where it doesn't start the broker. */
async function natsOf(dataDir: string): Promise<{ port: number; stop(): Promise<void> }> {
  const file = join(dataDir, 'nats', 'nats.conf');
  const config = await eventually(() => readFile(file, 'utf8'), { timeoutMs: 60_000, intervalMs: 50, what: 'the configuration of NATS' });
  const port = Number(/^port: (\d+)$/m.exec(config)?.[1]);
  const child = spawn('nats-server', ['-c', file], { cwd: join(dataDir, 'nats'), stdio: 'ignore' });
  const killOnExit = () => child.kill('SIGKILL');
  process.once('exit', killOnExit);
  await untilListening(port);
  // Its first client is alone, as with the launcher's own broker.
  const creds = await readFile(join(dataDir, 'nats', 'creds', 'reader.creds'));
  const connection = await connect({
    servers: `nats://127.0.0.1:${port}`,
    authenticator: credsAuthenticator(creds),
    inboxPrefix: '_INBOX.first',
  });
  await connection.request('$JS.API.INFO', undefined, { timeout: 5_000 });
  await connection.close();
  return {
    port,
    stop: async () => {
      process.off('exit', killOnExit);
      await stopChild(child);
    },
  };
}
