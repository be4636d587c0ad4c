import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { previewConfig, putConfig } from '@tenantry/contracts/tenant/config-routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { Holding } from '../approval/holding.js';
import { ConfigView } from '../history/config-view.js';
import { TenantHistory } from '../history/tenant-history.js';
import { Previews } from '../preview/previews.js';
import type { ClearChange } from './change.js';
import { config } from './config.js';
import { ConfigChanges } from './config-changes.js';
import { configChangeOf } from './config-input.js';
import { refuseIfMatch } from './config-versions.rpc.js';

/** The configuration as a whole: changed, or only looked at. */
@Controller()
export class PutConfigRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly history: TenantHistory,
    private readonly views: ConfigView,
    private readonly changes: ConfigChanges,
    private readonly holding: Holding,
    private readonly previews: Previews,
  ) {}

  @Handles(putConfig)
  async put({ tenantId, body, command }: Call<typeof putConfig>): Reply<typeof putConfig> {
    refuseIfMatch(command.ifMatch);
    const change = await this.changeOf(tenantId, body);
    refuseUnpermitted(change, command.principal.permissions);
    const planned = await this.changes.plan(tenantId, change);
    const hold = await this.holding.hold(tenantId, 'settings', planned, command);
    if (hold.held) return hold.held;
    await this.changes.make(tenantId, hold.cleared, command);
    return this.views.at(tenantId, await this.history.head(tenantId));
  }

  @Handles(previewConfig)
  async preview({ tenantId, body, command }: Call<typeof previewConfig>): Reply<typeof previewConfig> {
    const planned = await this.changes.plan(tenantId, await this.changeOf(tenantId, body));
    return this.previews.of(tenantId, planned, 'settings', command.principal.permissions);
  }

  private async changeOf(tenantId: string, body: Call<typeof putConfig>['body']): Promise<ClearChange> {
    const head = await this.history.head(tenantId);
    const [{ body: current }, { state }] = await Promise.all([this.views.at(tenantId, head), this.log.load(config, { tenant: tenantId })]);
    return configChangeOf(body, current, state);
  }
}

/** Parts that other requests need further permissions for need them here too. */
function refuseUnpermitted({ features, tenant }: ClearChange, permissions: readonly string[]): void {
  const needed = [
    ...(features.length > 0 ? [{ field: 'features', permission: 'feature:update' }] : []),
    ...(tenant.plan === undefined ? [] : [{ field: 'plan', permission: 'billing:update' }]),
    ...(tenant.name === undefined ? [] : [{ field: 'name', permission: 'tenant:update' }]),
  ].filter(({ permission }) => !permits(permissions, permission));
  if (needed.length === 0) return;
  throw new DomainError('auth.forbidden', {
    detail: `Further permissions are needed: ${needed.map(({ permission }) => permission).join(', ')}`,
    errors: needed.map(({ field, permission }) => ({ field, rule: 'permission', message: `needs the permission ${permission}` })),
    extensions: { permission: needed[0]?.permission },
  });
}
