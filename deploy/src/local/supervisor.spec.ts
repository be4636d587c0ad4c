import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@tenantry/testing/eventually';
import { isAlive } from '@tenantry/testing/process';
import { type TemporaryFolder, temporaryFolder } from '@tenantry/testing/tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Program, Supervisor, usualBackoff } from './supervisor.js';

let folder: TemporaryFolder;
let folders: { logs: string; pids: string };
let said: string[];
let restarts: number;
let supervisor: Supervisor;

beforeEach(async () => {
  folder = await temporaryFolder();
  folders = { logs: join(folder.path, 'logs'), pids: join(folder.path, 'pids') };
  await mkdir(folders.logs);
  await mkdir(folders.pids);
  said = [];
  restarts = 0;
  supervisor = new Supervisor(
    folders,
    (text) => said.push(text),
    () => restarts++,
    { ...usualBackoff, beforeReadyMs: { first: 1, most: 10 } },
  );
});
afterEach(async () => {
  await supervisor.stop(() => true);
  await folder.remove();
});

const program = (name: string, script: string, ready: Program['ready'] = async () => {}): Program => ({
  name,
  replica: 0,
  healthUrl: null,
  stopSignal: 'SIGTERM',
  stopGraceMs: 500,
  spawn: async () => spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'pipe'] }),
  ready,
});
const forever = 'setInterval(() => {}, 1000)';

describe('the supervisor', () => {
  it('starts a program again after its death, and says so', async () => {
    await supervisor.start(program('one', forever));
    const { pid } = supervisor.processes()[0]!;
    process.kill(pid, 'SIGKILL');
    await eventually(() => restarts === 1);
    expect(supervisor.processes()[0]!.pid).not.toBe(pid);
    expect(said).toEqual(['one was ended by SIGKILL; starting it again in 200 ms', 'one is ready again']);
  });

  it('keeps the process id in a file while it runs', async () => {
    await supervisor.start(program('one', forever));
    const { pid } = supervisor.processes()[0]!;
    expect(Number(await readFile(join(folders.pids, 'one.pid'), 'utf8'))).toBe(pid);
    await supervisor.stop(() => true);
    expect(await readdir(folders.pids)).toEqual([]);
    expect(await isAlive(pid)).toBe(false);
  });

  it('kills what does not end when it is asked to', async () => {
    const deaf = program('deaf', `process.on('SIGTERM', () => {}); console.log('up'); ${forever}`, async () => {
      await eventually(async () => (await readFile(join(folders.logs, 'deaf.log'), 'utf8')).includes('up'));
    });
    await supervisor.start(deaf);
    const { pid } = supervisor.processes()[0]!;
    await supervisor.stop(() => true);
    expect(await isAlive(pid)).toBe(false);
  });

  it('gives a start up after some deaths and shows the last lines', async () => {
    const never = program('never', "console.error('no such table'); process.exit(3)", async (failed) => {
      await eventually(() => failed() !== undefined);
      throw new Error(failed());
    });
    await expect(supervisor.start(never)).rejects.toThrow(/never does not start: it ended with code 3.*no such table/s);
  });

  it('keeps logs whole and shows only warnings', async () => {
    const lines = ['{"level":30,"msg":"quiet"}', '{"level":50,"msg":"loud"}'];
    await supervisor.start(program('one', `for (const line of ${JSON.stringify(lines)}) console.log(line); ${forever}`));
    await eventually(() => said.length > 0);
    expect(said).toEqual(['[one] error: loud']);
    expect((await readFile(join(folders.logs, 'one.log'), 'utf8')).trim().split('\n')).toEqual(lines);
  });
});
