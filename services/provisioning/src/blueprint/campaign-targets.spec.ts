import { newId } from '@tenantry/contracts/ids';
import { announce, savePlaced } from '@tenantry/tenancy/move/places';
import { placementFor } from '@tenantry/tenancy/names';
import type { Placement } from '@tenantry/tenancy/placement';
import { createPlace } from '@tenantry/tenancy/provision-schema';
import { type Platform, startPlatform } from '@tenantry/tenancy/spec/platform';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CampaignTargets } from './campaign-targets.js';

const switchMs = 1_400;

describe('tenants that leave the shared tables while a campaign is at work', () => {
  let platform: Platform;
  let targets: CampaignTargets;
  let operationId: string;
  let from: Placement;
  let to: Placement;
  beforeAll(async () => {
    platform = await startPlatform();
    targets = new CampaignTargets({ pool: platform.places.pool } as never);
    await platform.admin.query(`INSERT INTO tenancy.blueprints VALUES ('crm', true, 'active', now(), now(), 0)`);
  }, 60_000);
  afterAll(() => platform.stop());

  const item = (ordinal: number, tenantId: string | null, status = 'succeeded') =>
    platform.admin.query(
      'INSERT INTO provisioning.job_items (operation_id, ordinal, tenant_id, target, wave, status) VALUES ($1, $2, $3, $4, 1, $5)',
      [operationId, ordinal, tenantId, 'x', status],
    );
  const campaign = async () => {
    operationId = newId();
    await targets.note('crm', operationId);
    await platform.admin.query(`INSERT INTO provisioning.jobs (operation_id, type, params, total) VALUES ($1, 'x', '{}', 1)`, [
      operationId,
    ]);
  };
  beforeEach(async () => {
    await platform.admin.query('DELETE FROM tenancy.placements');
    await campaign();
    await item(0, null);
    from = placementFor(newId(), 'shared');
    await createPlace(platform.places, from);
    to = placementFor(from.tenantId, 'dedicated', { generation: 2 });
  });
  const at = (version: number) =>
    platform.admin.query(`INSERT INTO tenancy.app_ledger (app_schema, blueprint, version, checksum) VALUES ($1, 'crm', $2, $3)`, [
      to.appSchema,
      version,
      'f'.repeat(64),
    ]);
  const leavers = () => targets.leavers('crm', operationId, 2, switchMs);
  const taken = () => ({ items: [{ tenantId: to.tenantId, target: `tenantry.${to.appSchema}` }], waitMs: 0 });
  const none = { items: [], waitMs: 0 };

  it('are taken along, once', async () => {
    await at(1);
    expect(await leavers()).toEqual(none);
    await savePlaced(platform.places, to);
    expect(await leavers()).toEqual(taken());
    await item(1, to.tenantId, 'skipped');
    expect(await leavers()).toEqual(taken());
    await item(2, to.tenantId, 'quarantined');
    expect(await leavers()).toEqual(none);
  });

  it('are waited for while they may be leaving with what the tables were', async () => {
    await announce(platform.places, from, to);
    const { items, waitMs } = await leavers();
    expect([items, waitMs > 0 && waitMs <= switchMs]).toEqual([[], true]);
    await platform.admin.query(`UPDATE provisioning.job_items SET due_at = now() - interval '2 s' WHERE operation_id = $1`, [operationId]);
    expect(await leavers()).toEqual(none);
  });

  it('are left alone where they have the version, left before, or the shared tables are none of its targets', async () => {
    await savePlaced(platform.places, to);
    await at(2);
    expect(await leavers()).toEqual(none);
    await platform.admin.query('DELETE FROM tenancy.app_ledger');
    expect(await leavers()).toEqual(taken());
    await platform.admin.query(`UPDATE tenancy.placements SET left_shared_at = now() - interval '1 hour'`);
    expect(await leavers()).toEqual(none);
    await platform.admin.query('UPDATE tenancy.placements SET left_shared_at = now()');
    await campaign();
    await item(0, newId());
    expect(await leavers()).toEqual(none);
  });

  it('have left with the switch, not with a later move', async () => {
    await savePlaced(platform.places, to);
    await platform.admin.query(`UPDATE tenancy.placements SET left_shared_at = now() - interval '1 hour'`);
    await savePlaced(platform.places, { ...placementFor(to.tenantId, 'isolated', { generation: 3 }), ready: true });
    expect(await leavers()).toEqual(none);
  });
});
