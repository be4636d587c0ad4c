import { Injectable } from '@nestjs/common';
import { claimHost, releaseHost, reserveHost } from '@tenantry/contracts/domain/routes';
import { invalidField } from '@tenantry/contracts/errors';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Step, type StepContext } from '../step.js';

/** Claims the subdomain, or registers the custom host as pending: its owner still has to prove it. */
@Injectable()
export class DomainStep extends Step {
  readonly name = 'domain';
  constructor(private readonly rpc: RpcClient) {
    super();
  }
  async run({ tenantId, operationId, tenant }: StepContext): Promise<void> {
    const { type, host, ssl } = tenant.domain;
    if (type === 'subdomain') {
      const { reserved } = await this.rpc.call(reserveHost, { tenantId, host, ttlMs: 60_000 });
      if (!reserved) throw invalidField('domain', 'unique', `${host} belongs to another tenant`, 'domain.taken');
    }
    await this.rpc.call(claimHost, { tenantId, operationId, type, host, ssl, primary: true });
  }
  override async undo({ tenantId, operationId, tenant }: StepContext): Promise<void> {
    await this.rpc.call(releaseHost, { tenantId, operationId, host: tenant.domain.host });
  }
}
