import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import { type DataFolder, writeWhole } from './files.js';
import type { NatsAccounts } from './nats-accounts.js';

const run = promisify(execFile);

/** Path of a program of PATH (or of the folders where Debian puts servers); undefined when it is not there. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/bin', '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** How to get nats-server on this machine. */
export function natsRemedy(): string {
  if (process.platform === 'darwin') return 'brew install nats-server';
  if (findProgram('apt-get')) return 'sudo apt-get install nats-server';
  return 'install nats-server (https://github.com/nats-io/nats-server/releases) into a folder of PATH, or set TENANTRY_NATS_URL';
}

/**
 * Path of nats-server: from PATH, else installed by apt where that is possible.
 * @throws Error with the command to run
 */
export async function natsServer(say: (text: string) => void): Promise<string> {
  const found = findProgram('nats-server');
  if (found) return found;
  const apt = findProgram('apt-get');
  if (process.getuid?.() !== 0 || apt === undefined) throw new Error(`nats-server is not in PATH. Remedy: ${natsRemedy()}`);
  say('nats-server is not there yet: apt-get install nats-server');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = () => run(apt, ['install', '-y', '-qq', '--no-install-recommends', 'nats-server'], { env });
  try {
    // The package lists may be missing or old: update them only then, it takes long.
    await install().catch(async () => {
      await run(apt, ['update', '-qq'], { env });
      await install();
    });
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1) ?? (error as Error).message;
    throw new Error(`nats-server is not in PATH and apt-get could not install it (${reason}). Remedy: ${natsRemedy()}`, { cause: error });
  }
  const installed = findProgram('nats-server');
  if (!installed) throw new Error(`apt-get installed nats-server, but it is not in PATH. Remedy: ${natsRemedy()}`);
  return installed;
}

/** Writes the server's configuration. @returns its path */
export async function writeNatsConfig(folder: DataFolder, accounts: NatsAccounts, port: number, monitorPort: number): Promise<string> {
  const file = join(folder.nats, 'nats.conf');
  const quoted = (text: string) => JSON.stringify(text);
  await writeWhole(
    file,
    [
      '# Written at every start.',
      'server_name: tenantry',
      'host: "127.0.0.1"',
      `port: ${port}`,
      `http: "127.0.0.1:${monitorPort}"`,
      'max_payload: 2MB',
      `jetstream { store_dir: ${quoted(join(folder.nats, 'jetstream'))} }`,
      `operator: ${quoted(accounts.operatorJwtFile)}`,
      `system_account: ${accounts.systemAccount}`,
      // Accounts are pushed to it; what was pushed survives a SIGKILL of the broker.
      `resolver { type: full, dir: ${quoted(accounts.resolver)}, allow_delete: true, interval: "2m" }`,
      '',
    ].join('\n'),
  );
  return file;
}

/**
 * Lets the broker load the platform's account once, alone: when the services are its first clients and come at the same time,
 * nats-server 2.9 can lose a race with itself over the account's JetStream folder.
 */
export async function loadAccount(url: string, credsFile: string): Promise<void> {
  const connection = await connect({
    servers: url,
    authenticator: credsAuthenticator(await readFile(credsFile)),
    inboxPrefix: '_INBOX.launcher',
  });
  await connection.request('$JS.API.INFO', undefined, { timeout: 5_000 });
  await connection.close();
}
