import { Controller } from '@nestjs/common';
import { retryTenant } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { accepted } from './accepted.js';
import { TenantRetry } from './tenant-retry.js';

@Controller()
export class RetryTenantRpc {
  constructor(
    private readonly retries: TenantRetry,
    private readonly keyring: Keyring,
  ) {}

  @Handles(retryTenant)
  async handle({ tenantId, body, command }: Call<typeof retryTenant>): Reply<typeof retryTenant> {
    const done = await this.retries.retry(tenantId, body?.reason, command);
    return accepted(this.keyring, tenantId, done.state, done);
  }
}
