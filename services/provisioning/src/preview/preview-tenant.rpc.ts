import { Controller } from '@nestjs/common';
import { previewTenant } from '@tenantry/contracts/tenant/config-routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { ConfigChanges } from '../config/config-changes.js';
import { tenantChangeOf } from '../tenant/tenant-change.js';
import { Previews } from './previews.js';

@Controller()
export class PreviewTenantRpc {
  constructor(
    private readonly changes: ConfigChanges,
    private readonly previews: Previews,
  ) {}

  @Handles(previewTenant)
  async handle({ tenantId, body, command }: Call<typeof previewTenant>): Reply<typeof previewTenant> {
    const planned = await this.changes.plan(tenantId, tenantChangeOf(body), typeof body.plan === 'object' ? 'plan.id' : 'plan');
    return this.previews.of(tenantId, planned, 'update', command.principal.permissions);
  }
}
