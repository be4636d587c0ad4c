import { Injectable } from '@nestjs/common';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { config, secretKeys } from '../config/config.js';

/** Which of a tenant's settings are sensitive today, or were when they were removed. */
@Injectable()
export class Sensitive {
  constructor(private readonly log: TenantLog) {}

  async keysOf(tenantId: string): Promise<ReadonlySet<string>> {
    const { state } = await this.log.load(config, { tenant: tenantId });
    return secretKeys(state);
  }
}
