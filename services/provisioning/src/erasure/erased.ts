import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Stepped, stepped } from '../operation/stepped.js';
import { tenant } from '../tenant/tenant.js';

/** What is known of erasures: all of it is in the tenants' logs. */
@Injectable()
export class Erasures {
  constructor(private readonly log: TenantLog) {}

  /** @throws DomainError `tenant.not_found`; `erasure.not_found` where the tenant was not erased, or not yet */
  async of(
    tenantId: string,
  ): Promise<{ operationId: string; results: Record<string, Stepped['steps'][number]['result']>; position: number }> {
    const { state } = await this.log.load(tenant, { tenant: tenantId });
    if (state.status === 'none') throw new DomainError('tenant.not_found');
    if (state.status !== 'deleted' || !state.deletion)
      throw new DomainError('erasure.not_found', {
        detail: `The tenant is ${state.status}: it has a certificate once its deletion's operation has succeeded.`,
      });
    const { operationId } = state.deletion;
    const progress = await this.log.load(stepped, { tenant: tenantId, stream: `operation-${operationId}` });
    return {
      operationId,
      results: Object.fromEntries(progress.state.steps.map(({ name, result }) => [name, result])),
      position: progress.position,
    };
  }
}
