import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './ports.js';
import { stopChild } from './process.js';
import { temporaryFolder } from './tmp.js';

export interface RunningNats extends AsyncDisposable {
  url: string;
  port: number;
  /** The server's own process, for tests that kill it. */
  child: ChildProcess;
  stop(): Promise<void>;
}

export interface NatsOptions {
  jetstream?: boolean;
  /** Further lines of the server's configuration. */
  config?: string;
}

/** A real nats-server (from PATH) on a free port of 127.0.0.1 with a store of its own; without `config` nobody has to sign in. */
export async function startNats({ jetstream = true, config = '' }: NatsOptions = {}): Promise<RunningNats> {
  const folder = await temporaryFolder('tenantry-nats-');
  const port = await freePort();
  const lines = ['host: "127.0.0.1"', `port: ${port}`, 'max_payload: 2MB'];
  if (jetstream) lines.push(`jetstream { store_dir: "${join(folder.path, 'store')}" }`);
  const file = join(folder.path, 'nats.conf');
  await writeFile(file, `${lines.join('\n')}\n${config}\n`);
  const logFile = join(folder.path, 'server.log');
  const log = openSync(logFile, 'a');
  const child = spawn('nats-server', ['-c', file], { stdio: ['ignore', log, log] });
  closeSync(log);
  const killOnExit = () => child.kill('SIGKILL');
  process.once('exit', killOnExit);
  let failed: string | undefined;
  child.once('error', (error: NodeJS.ErrnoException) => {
    failed = error.code === 'ENOENT' ? 'nats-server is not in PATH: install it (Debian: apt-get install nats-server)' : error.message;
  });
  child.once('exit', () => {
    failed ??= 'nats-server ended while it was starting';
  });
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= (async () => {
      process.off('exit', killOnExit);
      await stopChild(child, 'SIGTERM', 5_000);
      await folder.remove();
    })();
    return stopping;
  };
  try {
    await untilListening(port, () => failed);
  } catch (error) {
    const said = await readFile(logFile, 'utf8').catch(() => '');
    await stop();
    throw new Error(`${(error as Error).message}\n${said.slice(-2000)}`, { cause: error });
  }
  return { url: `nats://127.0.0.1:${port}`, port, child, stop, [Symbol.asyncDispose]: stop };
}

/** Waits for the server's greeting, which it sends when it takes clients. */
export async function untilListening(port: number, failed: () => string | undefined = () => undefined, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await greets(port))) {
    const reason = failed();
    if (reason !== undefined) throw new Error(reason);
    if (performance.now() > end) throw new Error(`nats-server did not answer at port ${port} within ${timeoutMs} ms`);
    await sleep(25);
  }
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => end(false));
    socket.once('error', () => end(false));
    socket.once('data', (data) => end(data.toString('utf8').startsWith('INFO')));
  });
}
