import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { shippedPlans } from '@tenantry/contracts/plans';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { describe, expect, it } from 'vitest';
import { CreateTenantRpc } from './create-tenant.rpc.js';
import { abandon, tenant } from './tenant.js';

const parent = newId();
/** Whoever comes while a registration has its names and is not written yet gives them to others: `times` times. */
function given({ times, parentId }: { times: number; parentId?: string }) {
  const clock = new ManualClock();
  const log = new DefaultTenantLog(new MemoryEventStore(), new MemoryKeyring());
  const taken: string[] = [];
  let left = times;
  const names = {
    reserve: async (tenantId: string) => {
      const slug = `acme-${taken.length}`;
      taken.push(slug);
      if (left-- > 0) {
        const command = { id: newId(), actor: { kind: 'service' as const, id: 'test' } };
        await log.transact(tenant, { tenant: tenantId, command }, abandon(slug, clock.now()));
      }
      return { slug, domain: { type: 'subdomain', host: `${slug}.tenantry.localhost`, ssl: true } };
    },
  };
  const plans = { current: async (id: 'free') => ({ ...shippedPlans[id], id, version: 1 }) };
  const resellers = { parentFor: async () => parentId, admit: async () => undefined };
  const operations = { add: async () => undefined };
  const rpc = new CreateTenantRpc(log, names as never, plans as never, resellers as never, operations as never, new MemoryKeyring(), clock);
  const command = {
    ...{ id: newId(), requestHash: '0'.repeat(64) },
    principal: { kind: 'staff' as const, id: 'ada', permissions: ['*'] },
  };
  const create = () => rpc.handle({ params: {}, query: {}, body: { name: 'Acme' }, command } as never) as Promise<any>;
  return { create, taken, log };
}

describe('a registration whose names were given back before it was written', () => {
  it('takes names again, instead of those that may be others’ by now', async () => {
    const { create, taken, log } = given({ times: 2 });
    const { body, position } = await create();
    expect(taken).toEqual(['acme-0', 'acme-1', 'acme-2']);
    expect(body.slug).toBe('acme-2');
    const { state, events } = await log.load(tenant, { tenant: position.tenantId });
    expect(state).toMatchObject({ slug: 'acme-2', domain: { host: 'acme-2.tenantry.localhost' } });
    expect(events.map(({ type }) => type)).toEqual(['RegistrationAbandoned', 'RegistrationAbandoned', 'TenantRegistered']);
  });

  it('is refused as a reseller’s, whose deletion may have been why, and may be asked for again', async () => {
    const { create, taken } = given({ times: 1, parentId: parent });
    await expect(create()).rejects.toMatchObject({ code: 'log.conflict', detail: expect.stringContaining('given up') });
    expect((await create()).body.slug).toBe('acme-1');
    expect(taken).toHaveLength(2);
  });

  it('takes names once otherwise, and is found when it is asked for again', async () => {
    const { create, taken } = given({ times: 0 });
    const first = await create();
    expect(taken).toEqual(['acme-0']);
    expect((await create()).body).toEqual(first.body);
  });
});
