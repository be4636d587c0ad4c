import { Controller } from '@nestjs/common';
import { getConfig } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { ConfigView } from './config-view.js';
import { TenantHistory } from './tenant-history.js';

/** From the log, with what other services said there: current up to their last event. */
@Controller()
export class GetConfigRpc {
  constructor(
    private readonly history: TenantHistory,
    private readonly views: ConfigView,
  ) {}

  @Handles(getConfig)
  async handle({ tenantId }: Call<typeof getConfig>): Reply<typeof getConfig> {
    return this.views.at(tenantId, await this.history.head(tenantId));
  }
}
