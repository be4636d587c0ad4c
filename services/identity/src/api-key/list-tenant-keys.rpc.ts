import { Controller } from '@nestjs/common';
import { listTenantKeys } from '@tenantry/contracts/identity/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { requireTenant } from '../require-tenant.js';
import { ApiKeyTable } from './api-key-table.js';

@Controller()
export class ListTenantKeysRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly table: ApiKeyTable,
  ) {}

  @Handles(listTenantKeys)
  async handle({ tenantId }: Call<typeof listTenantKeys>): Promise<RouteAnswer<typeof listTenantKeys>> {
    const [items] = await Promise.all([this.table.list(tenantId), requireTenant(this.log, tenantId)]);
    return { status: 200, body: { items } };
  }
}
