import { DomainError } from '@tenantry/contracts/errors';
import { observed } from '@tenantry/observability/metrics';
import { Slots } from '@tenantry/tenancy/slots';

/** How many files may be on their way through this process. Nobody waits for another's: how long one takes its client alone knows. */
export class TransferSlots {
  private readonly slots: Slots;

  /** @param inAll of all tenants @param metric name and text of the number in flight */
  constructor(
    ofTenant: number,
    private readonly inAll: number,
    metric: [name: string, help: string],
  ) {
    this.slots = new Slots({ inUse: ofTenant, waiting: 0, waitMs: 0 });
    observed(...metric, () => this.slots.standing().inUse);
  }

  /** @returns what gives it back @throws DomainError `tenant.busy`, `service.unavailable` */
  async begin(tenantId: string): Promise<() => void> {
    if (this.slots.standing().inUse >= this.inAll)
      throw new DomainError('service.unavailable', { detail: 'Too many files are on their way at once', retryAfterSeconds: 5 });
    return this.slots.take(tenantId);
  }
}
