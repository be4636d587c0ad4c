import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@tenantry/testing/eventually';
import { type TemporaryFolder, temporaryFolder } from '@tenantry/testing/tmp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

const program = fileURLToPath(new URL('../../../examples/subscriber/subscriber.js', import.meta.url));

let api: Api;
let folder: TemporaryFolder;
let child: ChildProcess | undefined;
/** What it printed, over all of its lives. */
const lines: any[] = [];
let complaints = '';

const start = () => {
  const started = spawn(process.execPath, [program], {
    env: { PATH: process.env['PATH'], TENANTRY_URL: api.base, TENANTRY_API_KEY: api.key, FOLDER: folder.path },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let rest = '';
  started.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() as string;
    lines.push(...parts.map((line) => JSON.parse(line)));
  });
  started.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  child = started;
  return started;
};
const end = async (signal: NodeJS.Signals) => {
  const ended = new Promise<number | null>((resolve) => child?.once('exit', (code) => resolve(code)));
  child?.kill(signal);
  return ended;
};
const positionsOf = (tenantId: string) => lines.filter((line) => line.tenantId === tenantId).map(({ position }) => position);
const wantedOf = async (tenantId: string) =>
  (await eventsOf(api, tenantId)).filter(({ context }) => context === 'tenant' || context === 'billing').map(({ position }) => position);
const complete = (tenantId: string) =>
  eventually(
    async () => {
      const [wanted, seen] = [await wantedOf(tenantId), new Set(positionsOf(tenantId))];
      const missing = wanted.filter((position) => !seen.has(position));
      if (missing.length > 0) throw new Error(`missing ${missing}; it says: ${complaints.slice(-2_000)}`);
      return true;
    },
    { timeoutMs: 30_000, intervalMs: 200, what: `all events of ${tenantId}` },
  );

beforeAll(async () => {
  ({ api } = await sharedSystem());
  folder = await temporaryFolder();
});
afterAll(async () => {
  if (child && child.exitCode === null && child.signalCode === null) await end('SIGKILL');
  await folder?.remove();
});

describe('the example subscriber, with credentials of its own', () => {
  it('prints every event of its contexts once, in order, with personal data in clear', async () => {
    start();
    await eventually(() => readFile(join(folder.path, 'subscription.json')), { timeoutMs: 30_000, what: 'the subscription' });
    const { tenant } = await activeTenant(api, { name: unique('Watched'), adminEmail: 'ada@watched.example' });
    await complete(tenant.id);
    expect(positionsOf(tenant.id)).toEqual((await wantedOf(tenant.id)).slice(0, positionsOf(tenant.id).length));
    expect(lines.find(({ tenantId, type }) => tenantId === tenant.id && type === 'TenantRegistered').data.adminEmail).toBe(
      'ada@watched.example',
    );
    expect(new Set(lines.map(({ context }) => context))).toEqual(new Set(['tenant', 'billing']));
  });

  it('goes on where it was when it was killed, and when it was stopped', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Killed') });
    await end('SIGKILL');
    await api.put(`${PLATFORM}/tenants/${tenant.id}`, { name: 'While it was away' });
    const other = (await activeTenant(api, { name: unique('Unseen') })).tenant;
    start();
    await complete(tenant.id);
    await complete(other.id);
    expect(await end('SIGTERM')).toBe(0);
    await api.put(`${PLATFORM}/tenants/${tenant.id}`, { name: 'While it was away again' });
    const before = positionsOf(tenant.id).length;
    start();
    await complete(tenant.id);
    // A stop in good order repeats nothing.
    expect(new Set(positionsOf(tenant.id).slice(before)).size).toBe(positionsOf(tenant.id).length - before);
    expect(
      positionsOf(tenant.id)
        .slice(before)
        .every((position) => !positionsOf(tenant.id).slice(0, before).includes(position)),
    ).toBe(true);
    expect(await end('SIGTERM')).toBe(0);
  });

  it('ends with what the broker said when its credentials are replaced, whatever it was doing', async () => {
    const running = start();
    const exited = new Promise<number | null>((resolve) => running.once('exit', (code) => resolve(code)));
    const { id } = JSON.parse(await readFile(join(folder.path, 'subscription.json'), 'utf8'));
    const { tenant } = await activeTenant(api, { name: unique('Rotated') });
    await complete(tenant.id);
    complaints = '';
    // So that it holds messages at that moment.
    expect((await api.post(`${PLATFORM}/event-subscriptions/${id}/replay`, { from: 'first' })).status).toBe(200);
    expect((await api.post(`${PLATFORM}/event-subscriptions/${id}/rotate`)).status).toBe(200);
    expect(await exited).toBe(1);
    expect(complaints).toContain('AuthorizationError');
    expect(complaints).not.toContain('ClosedConnectionError');
  }, 30_000);
});
