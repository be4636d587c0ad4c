import { randomBytes } from 'node:crypto';
import { rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@tenantry/testing/eventually';
import { expect, it } from 'vitest';
import { startSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';
import { kill, untilReady } from './processes.js';

const TENANTS = 12;
/** Whoever was to answer may have been killed: the request is told to come back, or that nobody knows. */
const orAway = [200, 503, 504];

it('the master key is replaced while it is used, with processes killed in the middle, and the old one is removed', async () => {
  const system = await startSystem({ TENANTRY_REPLICAS: 'identity=2,provisioning=2' });
  try {
    const { api } = system;
    const keyFile = (name: string) => join(system.dataDir, 'keys', name);
    const restart = async () => {
      // One after the other, as a rolling update does it.
      for (const label of ['identity', 'identity-1']) {
        await kill(system, label);
        await untilReady(system);
      }
    };
    const masterKey = async () => (await api.get(`${PLATFORM}/master-key`)).body;
    const tenants = await Promise.all(
      Array.from({ length: TENANTS }, async (_, n) => {
        const adminEmail = `owner-${n}@keys.example`;
        return { adminEmail, id: (await activeTenant(api, { name: unique('Master'), adminEmail })).tenant.id as string };
      }),
    );
    const old = (await masterKey()).current;

    // Somebody writes and reads all the time.
    let isOver = false;
    let done = 0;
    const worker = async () => {
      while (!isOver) {
        const { id, adminEmail } = tenants[done % TENANTS] as (typeof tenants)[number];
        const billingEmail = `bill-${done}@keys.example`;
        const written = await api.put(`${PLATFORM}/tenants/${id}`, { billingEmail });
        expect(orAway, written.text).toContain(written.status);
        const read = await api.get(`${PLATFORM}/tenants/${id}`);
        expect(orAway, read.text).toContain(read.status);
        if (written.status === 200 && read.status === 200) expect(read.body).toMatchObject({ adminEmail, billingEmail });
        if (done % 7 === 0) expect(orAway).toContain((await api.post(`${PLATFORM}/tenants/${id}/keys/rotate`, {})).status);
        done += 1;
      }
    };
    const working = worker();
    working.catch(() => undefined); // looked at in the end

    await writeFile(keyFile('kms.next.key'), `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
    await restart();
    expect(await masterKey()).toMatchObject({ current: old, known: [old, expect.any(String)] });
    await rename(keyFile('kms.key'), keyFile('kms.old.key'));
    await rename(keyFile('kms.next.key'), keyFile('kms.key'));
    await restart();
    const { current } = await masterKey();
    expect(current).not.toBe(old);

    const started = await api.post(`${PLATFORM}/master-key/rewrap`, {});
    expect(started.status, started.text).toBe(202);
    await Promise.all(['identity', 'provisioning'].map((label) => kill(system, label)));
    const ended = await eventually(
      async () => {
        const { status, body } = await api.get(started.body.operation.url);
        return status === 200 && body.finishedAt !== null && body;
      },
      { timeoutMs: 120_000, intervalMs: 200, what: 'the operation to end' },
    );
    expect(ended).toMatchObject({ status: 'succeeded' });
    await untilReady(system);
    expect((await masterKey()).wrapped.map((one: any) => one.masterKey)).toEqual([current]);

    await unlink(keyFile('kms.old.key'));
    await restart();
    expect((await masterKey()).known).toEqual([current]);
    const before = done;
    await Promise.race([
      working,
      eventually(async () => done >= before + 2 * TENANTS, { timeoutMs: 60_000, what: 'all tenants to be written and read again' }),
    ]);
    isOver = true;
    await working;
    for (const { id, adminEmail } of tenants)
      expect((await api.get(`${PLATFORM}/tenants/${id}`)).body, 'with the new master key alone').toMatchObject({ adminEmail });
  } finally {
    await system.stop();
  }
});
