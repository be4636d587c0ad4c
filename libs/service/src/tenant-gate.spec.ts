import type { StoredEvent } from '@tenantry/contracts/events';
import { describe, expect, it } from 'vitest';
import { TenantGate } from './tenant-gate.js';

const T = '3f0c9c7e-52a5-4a64-9f0b-0d6a4a3a5d11';

function given() {
  const log: (string | { type: string; data: unknown })[] = ['TenantRegistered', 'TenantActivated'];
  const asked: number[] = [];
  let now = 0;
  let hold: Promise<void> | null = null;
  const gate = new TenantGate({
    nowMs: () => now,
    store: {
      readStream: async (_tenant, _stream, options) => {
        const from = options?.fromVersion ?? 0;
        asked.push(from);
        const events = log
          .slice(from)
          .map(
            (event, n) => ({ data: {}, ...(typeof event === 'string' ? { type: event } : event), streamVersion: from + n }) as StoredEvent,
          );
        await hold;
        return { events, command: null };
      },
    },
  });
  return {
    ...{ gate, log, asked },
    pass: (ms: number) => {
      now += ms;
    },
    /** Answers of the log wait until the returned function is called. */
    holdBack: () => {
      let release = () => {};
      hold = new Promise((resolve) => {
        release = resolve;
      });
      return () => {
        hold = null;
        release();
      };
    },
  };
}

describe('a tenant that is suspended', () => {
  it('is refused half a second later at the latest, and let in again likewise', async () => {
    const { gate, log, pass } = given();
    await gate.pass(T);
    log.push('TenantSuspended');
    await gate.pass(T);
    pass(500);
    await expect(gate.pass(T)).rejects.toMatchObject({ code: 'tenant.suspended' });
    log.push('TenantReactivated');
    pass(500);
    await gate.pass(T);
  });
  it('is refused at once where the bus says so', async () => {
    const { gate, log } = given();
    await gate.pass(T);
    log.push('TenantSuspended');
    gate.changed(T);
    await expect(gate.pass(T)).rejects.toMatchObject({ code: 'tenant.suspended' });
  });
  it('is refused although the log was being read when the bus said so', async () => {
    const { gate, log, holdBack } = given();
    const release = holdBack();
    const first = gate.pass(T);
    log.push('TenantSuspended');
    gate.changed(T);
    release();
    await first;
    await expect(gate.pass(T)).rejects.toMatchObject({ code: 'tenant.suspended' });
  });
});

describe('a tenant that is put away or goes', () => {
  const restored = (status: string) => ({ type: 'TenantRestored', data: { status } });
  const undeleted = (status: string) => ({ type: 'TenantDeletionCancelled', data: { status } });

  it.each([
    ['archived', ['TenantArchived'], 'tenant.archived'],
    ['archived while suspended and back', ['TenantSuspended', 'TenantArchived', restored('suspended')], 'tenant.suspended'],
    ['to be deleted', ['TenantDeletionScheduled'], 'tenant.deleting'],
    ['back from its deletion to the archive', ['TenantArchived', 'TenantDeletionScheduled', undeleted('archived')], 'tenant.archived'],
    ['being erased', ['TenantDeletionScheduled', 'TenantErasureStarted'], 'tenant.deleting'],
    ['erased', ['TenantDeletionScheduled', 'TenantErasureStarted', 'TenantErased'], 'tenant.deleted'],
  ])('is refused: %s', async (_, events, code) => {
    const { gate, log } = given();
    log.push(...events);
    await expect(gate.pass(T)).rejects.toMatchObject({ code });
  });
  it.each([
    ['restored', ['TenantArchived', restored('trial')]],
    ['undeleted', ['TenantDeletionScheduled', undeleted('active')]],
    ['undeleted while it is provisioned', ['TenantDeletionScheduled', undeleted('pending')]],
  ])('is let in again: %s', async (_, events) => {
    const { gate, log } = given();
    log.push(...events);
    await expect(gate.pass(T)).resolves.toBeUndefined();
  });
});

describe('the log', () => {
  it('is read once for all who ask at the same time, and from where it was read to', async () => {
    const { gate, asked, pass } = given();
    await Promise.all([gate.pass(T), gate.pass(T), gate.pass(T)]);
    expect(asked).toEqual([0]);
    pass(500);
    await gate.pass(T);
    expect(asked).toEqual([0, 2]);
  });
  it('that cannot be read lets nobody in', async () => {
    const gate = new TenantGate({ store: { readStream: () => Promise.reject(new Error('away')) } });
    await expect(gate.pass(T)).rejects.toMatchObject({ code: 'service.unavailable' });
  });
});

describe('a child', () => {
  const PARENT = '5d0c9c7e-52a5-4a64-9f0b-0d6a4a3a5d22';
  const family = () => {
    const logs: Record<string, string[]> = { [T]: ['TenantRegistered', 'TenantActivated'], [PARENT]: ['TenantRegistered'] };
    const gate = new TenantGate({
      store: {
        readStream: async (tenant, _stream, options) => ({
          events: (logs[tenant] ?? [])
            .map((type, streamVersion) => ({ type, streamVersion, data: tenant === T ? { parentId: PARENT } : {} }) as StoredEvent)
            .slice(options?.fromVersion ?? 0),
          command: null,
        }),
      },
    });
    return { gate, logs };
  };

  it('knows its reseller, and nobody else is one', async () => {
    const { gate } = family();
    expect(await gate.parentOf(T)).toBe(PARENT);
    expect(await gate.parentOf(PARENT)).toBeNull();
    expect(await gate.parentOf('00000000-0000-4000-8000-000000000000')).toBeNull();
  });
  it('is refused while its reseller is suspended', async () => {
    const { gate, logs } = family();
    await gate.pass(T);
    logs[PARENT]?.push('TenantSuspended');
    gate.changed(PARENT);
    await expect(gate.pass(T)).rejects.toMatchObject({ code: 'tenant.suspended' });
    logs[PARENT]?.push('TenantReactivated');
    gate.changed(PARENT);
    await gate.pass(T);
  });
});
