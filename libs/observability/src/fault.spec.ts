import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { armFaults, faultPoint, InjectedFault, parseFaults } from './fault.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantry-fault-'));
});
afterEach(async () => {
  armFaults('none', folder, {});
  await rm(folder, { recursive: true });
});
const arm = (fault: string, name = 'billing', test = '1') => armFaults(name, folder, { TENANTRY_TEST: test, TENANTRY_FAULT: fault });

describe('TENANTRY_FAULT', () => {
  it('is a list of process, point and action', () => {
    expect(parseFaults('billing:open.done:fail, relay:*:kill-nats')).toEqual([
      { process: 'billing', point: 'open.done', action: 'fail' },
      { process: 'relay', point: '*', action: 'kill-nats' },
    ]);
    expect(parseFaults(undefined)).toEqual([]);
  });
  it.each(['billing', 'billing:open.done', 'billing:open.done:explode', 'a:b:fail:c'])('is refused: %s', (text) => {
    expect(() => parseFaults(text)).toThrow(/TENANTRY_FAULT/);
  });
});

describe('a fault', () => {
  it('does nothing in another process, at another point, or outside of tests', async () => {
    arm('billing:open.done:fail', 'audit');
    await faultPoint('open.done');
    arm('billing:open.done:fail', 'billing', '0');
    await faultPoint('open.done');
    arm('billing:open.done:fail');
    await faultPoint('open.recorded');
  });
  it('fires once per point, also after a restart', async () => {
    arm('billing:*:fail');
    await expect(faultPoint('open.done')).rejects.toThrow(InjectedFault);
    await faultPoint('open.done');
    arm('billing:*:fail');
    await faultPoint('open.done');
    await expect(faultPoint('open.recorded')).rejects.toThrow(InjectedFault);
    expect((await readdir(join(folder, 'faults'))).sort()).toEqual(['billing.open.done.fail', 'billing.open.recorded.fail']);
  });
  it('kills the server whose pid is written down, and goes on', async () => {
    const server = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)']);
    const ended = new Promise((resolve) => server.once('exit', (_code, signal) => resolve(signal)));
    await mkdir(join(folder, 'pids'));
    await writeFile(join(folder, 'pids', 'nats.pid'), `${server.pid}\n`);
    arm('billing:open.done:kill-nats');
    await faultPoint('open.done');
    expect(await ended).toBe('SIGKILL');
  });
});
