import { Injectable } from '@nestjs/common';
import type { StoredOf } from '@tenantry/contracts/catalogue';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { CommandContext } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { tenant } from '../tenant/tenant.js';
import { TenantRetry } from '../tenant/tenant-retry.js';
import { operation, operationView, requestCancel } from './operation.js';
import { type OperationAddress, type OperationKind, OperationKinds, type ShownOperation } from './operation-kinds.js';

type Bound = StoredOf<'TenantRegistered' | 'TenantProvisioningRetried' | 'TenantProvisioningFailed'>;
const of = (id: string, type: Bound['type']) => (event: StoredEvent) => event.type === type && (event as Bound).data.operationId === id;

/** Provisionings as they stand, folded from the log. */
@Injectable()
export class ProvisioningOperations implements OperationKind {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly retries: TenantRetry,
    private readonly clock: Clock,
    kinds: OperationKinds,
  ) {
    kinds.add('provisioning', this);
  }

  async view({ id, tenantId }: OperationAddress): Promise<ShownOperation> {
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

  /** The saga sees the request before its next step, and undoes what was done. */
  async cancel({ id, tenantId }: OperationAddress, reason: string | undefined, command: CommandContext): Promise<void> {
    const at = { tenant: tenantId, stream: `operation-${id}`, command };
    await this.log.transact(operation, at, requestCancel(id, reason, this.clock.now()));
  }

  /** What was undone begins again as a new operation. */
  async retry(at: OperationAddress, reason: string | undefined, command: CommandContext): Promise<string> {
    const { view } = await this.view(at);
    if (view.status !== 'compensated' && view.status !== 'cancelled')
      throw new DomainError('operation.not_retriable', {
        detail: `The operation is ${view.status}; only one that was undone can be retried.`,
      });
    return (await this.retries.retry(at.tenantId, reason, command)).state.operationId;
  }
}
