import { Controller } from '@nestjs/common';
import { listTenantKeyVersions, rotateTenantKey } from '@tenantry/contracts/identity/key-routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { KeyStore } from '../keys/key-store.js';
import { requireTenant } from '../require-tenant.js';
import { KeyRotation } from './key-rotation.js';

@Controller()
export class TenantKeyRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keys: KeyStore,
    private readonly rotation: KeyRotation,
  ) {}

  @Handles(rotateTenantKey)
  async rotate({ tenantId, command }: Call<typeof rotateTenantKey>): Reply<typeof rotateTenantKey> {
    await requireTenant(this.log, tenantId);
    const { keyVersion, rotatedAt, version, position } = await this.rotation.rotate(tenantId, 'requested', command);
    return { status: 200, body: { tenantId, keyVersion, rotatedAt }, version, position: { tenantId, position } };
  }

  @Handles(listTenantKeyVersions)
  async list({ tenantId }: Call<typeof listTenantKeyVersions>): Reply<typeof listTenantKeyVersions> {
    await requireTenant(this.log, tenantId);
    return { status: 200, body: { items: await this.keys.versions(tenantId) } };
  }
}
