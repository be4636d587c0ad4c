import { randomUUID } from 'node:crypto';
import type { Keyring } from '@tenantry/crypto/keyring';
import type { Call } from '@tenantry/messaging/rpc';
import type { Database } from '@tenantry/service/database';
import { announce } from '@tenantry/tenancy/move/places';
import { placementFor } from '@tenantry/tenancy/names';
import { createPlace } from '@tenantry/tenancy/provision-schema';
import { registerDatabase } from '@tenantry/tenancy/register-database';
import { type Platform, startPlatform } from '@tenantry/tenancy/spec/platform';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DatabaseLoginRpc } from './database-login.rpc.js';

describe('the login of a tenant’s database', () => {
  let platform: Platform;
  let rpc: DatabaseLoginRpc;
  beforeAll(async () => {
    platform = await startPlatform();
    for (const name of ['tenants_2', 'tenants_3'])
      await registerDatabase(platform.places, { server: 'default', name }, { capacity: null, accepts: ['dedicated'] });
    rpc = new DatabaseLoginRpc({ pool: platform.places.pool } as Database, platform.places.keys as Keyring);
  }, 60_000);
  afterAll(() => platform.stop());

  const dedicatedIn = (database: string, generation = 1, tenantId: string = randomUUID()) => ({
    ...placementFor(tenantId, 'dedicated', { database, generation }),
    ready: true,
  });
  const ask = async (tenantId: string) => (await rpc.handle({ tenantId } as Call<never>)).body;

  it('is told with that of the database that it is on its way to', async () => {
    const from = dedicatedIn('tenants_2');
    const { tenantId } = from;
    await createPlace(platform.places, from);
    const here = { database: 'tenants_2', user: 'tenants_2', generation: 1 };
    expect(await ask(tenantId)).toMatchObject({ ...here, next: null });
    await announce(platform.places, from, dedicatedIn('tenants_3', 2, tenantId));
    const told = await ask(tenantId);
    expect(told).toMatchObject({ ...here, next: { database: 'tenants_3', user: 'tenants_3', generation: 2 } });
    expect(told.next?.password).not.toBe(told.password);
    await announce(platform.places, from, dedicatedIn('tenantry', 2, tenantId));
    expect(await ask(tenantId)).toMatchObject({ ...here, next: null });
  });

  it('is that of the database that it is on its way to where it lives in the control plane’s', async () => {
    const from = dedicatedIn('tenantry');
    const { tenantId } = from;
    await createPlace(platform.places, from);
    await expect(ask(tenantId)).rejects.toMatchObject({ code: 'placement.not_found' });
    await announce(platform.places, from, dedicatedIn('tenants_3', 2, tenantId));
    expect(await ask(tenantId)).toMatchObject({ database: 'tenants_3', generation: 2, next: null });
  });
});
