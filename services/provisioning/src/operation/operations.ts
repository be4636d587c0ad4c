import { Injectable } from '@nestjs/common';
import type { StoredOf } from '@tenantry/contracts/catalogue';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { RebuildOperations } from '../oversight/rebuilds.js';
import { tenant } from '../tenant/tenant.js';
import { operation, operationView } from './operation.js';
import { OperationIndex } from './operation-index.js';

type Bound = StoredOf<'TenantRegistered' | 'TenantProvisioningRetried' | 'TenantProvisioningFailed'>;
const of = (id: string, type: Bound['type']) => (event: StoredEvent) => event.type === type && (event as Bound).data.operationId === id;

/** Operations as they stand, folded from the log. */
@Injectable()
export class Operations {
  constructor(
    private readonly log: TenantLog,
    private readonly index: OperationIndex,
    private readonly rebuilds: RebuildOperations,
    private readonly keyring: Keyring,
  ) {}

  /** @throws DomainError `operation.not_found` */
  async view(id: string): Promise<{ view: OperationView; position: { tenantId: string; position: number } }> {
    const { tenantId, type } = await this.index.find(id);
    if (type === 'rebuild') return this.rebuilds.view(id);
    const [life, progress] = await Promise.all([
      this.log.load(tenant, { tenant: tenantId }),
      this.log.load(operation, { tenant: tenantId, stream: `operation-${id}` }),
    ]);
    const start = life.events.find((event) => of(id, 'TenantRegistered')(event) || of(id, 'TenantProvisioningRetried')(event));
    if (!start) throw new DomainError('operation.not_found');
    const failed = life.events.find(of(id, 'TenantProvisioningFailed'));
    const last = progress.events.findLast(
      (event) => event.type === 'ProvisioningStepCompleted' && (event as StoredOf<'ProvisioningStepCompleted'>).data.step === 'activate',
    );
    const times = { createdAt: start.recordedAt, finishedAt: last?.recordedAt ?? null, failedAt: failed?.recordedAt ?? null };
    const reason = progress.state.cancelled?.reason ?? null;
    return {
      view: operationView(id, tenantId, progress.state, times, reason === null ? null : await this.keyring.reveal(tenantId, reason)),
      position: { tenantId, position: Math.max(life.position, progress.position) },
    };
  }
}
