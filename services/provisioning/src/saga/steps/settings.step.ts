import { Injectable } from '@nestjs/common';
import { newStream, TenantLog } from '@tenantry/event-store/tenant-log';
import { config, initialize } from '../../config/config.js';
import { initialSettings } from '../../config/initial-settings.js';
import { Step, type StepContext } from '../step.js';

/** First settings and features. */
@Injectable()
export class SettingsStep extends Step {
  readonly name = 'settings';
  constructor(private readonly log: TenantLog) {
    super();
  }
  async run({ tenantId, tenant, command }: StepContext): Promise<void> {
    await this.log.transact(
      config,
      { tenant: tenantId, command: command('settings') },
      initialize(initialSettings(tenant), tenant.features),
      newStream(config),
    );
  }
}
