import { DomainError } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import type { listEvents } from '@tenantry/contracts/tenant/event-routes';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { command } from '@tenantry/event-store/conformance/given';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import type { Call } from '@tenantry/messaging/rpc';
import { silentLogger } from '@tenantry/observability/logger';
import { describe, expect, it } from 'vitest';
import { Sensitive } from '../history/sensitive.js';
import { DecryptEventsRpc } from './decrypt-events.rpc.js';
import { ListEventsRpc } from './list-events.rpc.js';

async function given(keyring = new MemoryKeyring()) {
  const tenantId = newId();
  const store = new MemoryEventStore();
  const log = new DefaultTenantLog(store, keyring);
  const decryption = new DecryptEventsRpc(log, keyring, new Sensitive(log), silentLogger);
  const list = new ListEventsRpc(log);
  return {
    tenantId,
    keyring,
    append: (type: string, data: unknown, context = 'tenant', stream = newId(), expectedVersion = -1) =>
      store.append(command(tenantId, { stream, expectedVersion, events: [{ type, data, context } as never] })),
    list: (query: Call<typeof listEvents>['query'] = {}, of = tenantId) => list.handle(call(of, { query, body: {} })),
    decrypt: (positions: number[], permissions = ['event:read', 'personal:read'], principal = 'key-1') =>
      decryption.handle(call(tenantId, { query: {}, body: { positions } }, permissions, principal)),
  };
}
const call = <Q, B>(tenantId: string, { query, body }: { query: Q; body: B }, permissions = ['event:read'], id = 'key-1') => ({
  ...{ tenantId, params: { tenantId }, query, body },
  command: { id: newId(), requestHash: '', principal: { kind: 'api-key' as const, id, permissions } },
});

describe('the log, page by page', () => {
  it('is read to its head', async () => {
    const { append, list } = await given();
    for (let n = 0; n < 120; n++) await append('TenantUpdated', { name: `n${n}` });
    const found: number[] = [];
    for (let after = -1; ; after = found.at(-1) as number) {
      const { body, total } = await list({ after, limit: 50 });
      expect([body.head, total]).toEqual([119, 120]);
      found.push(...body.items.map(({ position }) => position));
      if (found.at(-1) === body.head) break;
    }
    expect(found).toEqual(Array.from({ length: 120 }, (_, position) => position));
    expect((await list({ after: 119 })).body).toEqual({ items: [], head: 119 });
    expect((await list({ after: 100_000 })).body.items).toEqual([]);
  });

  it('has pages that fit into a message, however large its events are', async () => {
    const { append, list } = await given();
    for (let n = 0; n < 40; n++) await append('TenantUpdated', { name: 'x'.repeat(n % 2 === 0 ? 100_000 : 10) });
    const found: number[] = [];
    while (found.length < 40) {
      const { body } = await list({ after: found.length - 1, limit: 200 });
      expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(512 * 1024);
      expect(body.items.length).toBeGreaterThan(4);
      found.push(...body.items.map(({ position }) => position));
    }
    expect(found).toEqual(Array.from({ length: 40 }, (_, position) => position));
  });

  it('of nobody is not found', async () => {
    const { list } = await given();
    await expect(list({}, newId())).rejects.toMatchObject({ code: 'tenant.not_found' });
  });
});

describe('personal data of events', () => {
  it('is given in clear by position, wherever in the data it stands', async () => {
    const { tenantId, keyring, append, decrypt } = await given();
    const email = await keyring.encrypt(tenantId, 'contacts', 'ada@example.com');
    await append('TenantUpdated', { name: 'no one' });
    await append('TenantUpdated', { adminEmail: email, before: { adminEmail: null }, tags: ['x'] });
    const { body } = await decrypt([1, 0, 1, 7]);
    expect(body).toEqual({
      items: [
        { position: 0, id: expect.any(String), type: 'TenantUpdated', version: 2, data: { name: 'no one' } },
        {
          ...{ position: 1, id: expect.any(String), type: 'TenantUpdated', version: 2 },
          data: { adminEmail: 'ada@example.com', before: { adminEmail: null }, tags: ['x'] },
        },
      ],
      remaining: [],
    });
  });

  it('is found at positions far apart, and what does not fit is named', async () => {
    const { tenantId, keyring, append, decrypt } = await given();
    for (let n = 0; n < 200; n++) {
      const large = n % 20 === 0 ? 'x'.repeat(150_000) : '';
      await append('TenantUpdated', { name: large, adminEmail: await keyring.encrypt(tenantId, 'contacts', `a${n}@example.com`) });
    }
    const wanted = [0, 20, 40, 60, 61, 150, 199];
    const emails: string[] = [];
    let rounds = 0;
    for (let ask = wanted; ask.length > 0; rounds++) {
      const { body } = await decrypt(ask);
      emails.push(...body.items.map(({ data }) => (data as { adminEmail: string }).adminEmail));
      ask = body.remaining;
    }
    expect(rounds).toBe(2);
    expect(emails).toEqual(wanted.map((n) => `a${n}@example.com`));
  });

  it('needs both permissions', async () => {
    const { append, decrypt } = await given();
    await append('TenantUpdated', { name: 'x' });
    await expect(decrypt([0], ['personal:read'])).rejects.toMatchObject({ code: 'auth.forbidden' });
  });

  it('of another tenant is never decrypted, whoever placed it in this log', async () => {
    const keyring = new MemoryKeyring();
    const other = await given(keyring);
    const { append, decrypt } = await given(keyring);
    await append('TenantUpdated', { adminEmail: await keyring.encrypt(other.tenantId, 'contacts', 'eve@example.com') });
    const { body } = await decrypt([0]);
    expect(body.items).toMatchObject([{ data: { adminEmail: null } }]);
    expect(JSON.stringify(body)).not.toContain('eve');
  });

  it('is null where the key was destroyed', async () => {
    const { tenantId, keyring, append, decrypt } = await given();
    await append('TenantUpdated', { adminEmail: await keyring.encrypt(tenantId, 'contacts', 'ada@example.com') });
    keyring.destroy(tenantId);
    expect((await decrypt([0])).body.items).toMatchObject([{ data: { adminEmail: null } }]);
  });

  it('of nobody is not found', async () => {
    const { decrypt } = await given();
    await expect(decrypt([0])).rejects.toMatchObject({ code: 'tenant.not_found' });
  });

  it('leaves sensitive settings sealed: those that are, those that were, and those that became so', async () => {
    const { tenantId, keyring, append, decrypt } = await given();
    const value = (text: string) => keyring.encrypt(tenantId, 'config', JSON.stringify(text));
    const setting = async (key: string, text: string, encrypted: boolean) => ({
      ...{ key, value: await value(text), type: 'string', category: 'general', encrypted },
    });
    const settings = [await setting('motto', 'open', false), await setting('password', 'early', false), await setting('pin', '1234', true)];
    await append('SettingsInitialized', { settings, features: {} }, 'config', 'config');
    const { key: _, ...before } = await setting('password', 'middle', false);
    const changed = { ...(await setting('password', 'secret', true)), before };
    await append('SettingChanged', changed, 'config', 'config', 0);
    const { body } = await decrypt([0, 1]);
    expect(JSON.stringify(body)).toContain('open');
    for (const hidden of ['early', 'middle', 'secret', '1234']) expect(JSON.stringify(body)).not.toContain(hidden);
  });

  it('is not given at any rate', async () => {
    const { append, decrypt } = await given();
    await append('TenantUpdated', { name: 'x' });
    const outcomes = await Promise.all(
      Array.from({ length: 90 }, () =>
        decrypt([0]).then(
          () => 'given',
          (error: unknown) => (error as DomainError).code,
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'rate.limited').length).toBeGreaterThan(20);
    await expect(decrypt([0])).rejects.toMatchObject({ retryAfterSeconds: 1 });
    await expect(decrypt([0], undefined, 'key-2')).resolves.toMatchObject({ status: 200 });
  });
});
