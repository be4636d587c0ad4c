import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@tenantry/testing/eventually';
import { type Api, api } from './api.js';

export interface RunFile {
  gatewayUrl: string;
  baseDomain: string;
  adminApiKey: string;
  postgresUrl: string;
  natsUrl: string;
  natsCredsFile: string;
  mailOutboxUrl: string;
  processes: { name: string; replica: number; pid: number; healthUrl: string }[];
}

export interface System {
  dataDir: string;
  /** Of the launcher. */
  pid: number;
  /** Read anew each time: it changes when a process is restarted. */
  run(): Promise<RunFile>;
  api: Api;
  /** What the launcher printed. */
  output(): string;
  stop(): Promise<number | null>;
}

const start = fileURLToPath(new URL('../../../deploy/dist/start.js', import.meta.url));
const READY_MS = 120_000;

/** A whole Tenantry of its own: own data, own ports. Ends with `stop()`. */
export async function startSystem(env: Record<string, string> = {}): Promise<System> {
  const dataDir = env['TENANTRY_DATA_DIR'] ?? (await mkdtemp(join(tmpdir(), 'tenantry-e2e-')));
  let output = '';
  const child: ChildProcess = spawn(process.execPath, [start], {
    env: { ...process.env, TENANTRY_DATA_DIR: dataDir, TENANTRY_PORT: '0', TENANTRY_TEST: '1', TENANTRY_LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-200_000);
    });
  }
  const run = async (): Promise<RunFile> => JSON.parse(await readFile(join(dataDir, 'run.json'), 'utf8'));
  const ended = exited.then((code) => Promise.reject(new Error(`the launcher ended with ${code}`)));
  ended.catch(() => undefined); // looked at only while the system comes up
  const first = await Promise.race([eventually(run, { timeoutMs: READY_MS, intervalMs: 100, what: 'run.json' }), ended]).catch((error) => {
    child.kill('SIGTERM');
    throw new Error(`the system did not come up: ${error.message}\n${output}`);
  });
  return {
    dataDir,
    pid: child.pid as number,
    run,
    api: api(first.gatewayUrl, first.adminApiKey),
    output: () => output,
    stop: async () => {
      child.kill('SIGTERM');
      const code = await exited;
      await rm(dataDir, { recursive: true, force: true });
      return code;
    },
  };
}

/** The system that vitest's global set-up started for all specs, or the one named by TENANTRY_DATA_DIR. */
export async function sharedSystem(): Promise<{ dataDir: string; api: Api; run: RunFile }> {
  const dataDir = process.env['TENANTRY_E2E_DATA_DIR'];
  if (!dataDir) throw new Error('TENANTRY_E2E_DATA_DIR is not set: run the specs through vitest in test-e2e');
  const run: RunFile = JSON.parse(await readFile(join(dataDir, 'run.json'), 'utf8'));
  return { dataDir, api: api(run.gatewayUrl, run.adminApiKey), run };
}
