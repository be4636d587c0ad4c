import { observed } from '@tenantry/observability/metrics';
import { Slots } from '@tenantry/tenancy/slots';

/** Requests of one tenant's own credentials that wait behind those that are worked on, and how long each waits. */
const WAITING = 500;
const WAIT_MS = 8_000;

/**
 * How many requests each tenant may have in flight here: so many are worked on, some more wait for those, the next is refused at once.
 * A flood of one tenant then neither fills the services behind nor this process's memory.
 */
export class TenantRequests {
  private readonly slots: Slots;

  constructor(inFlight: number) {
    this.slots = new Slots({ inUse: inFlight, waiting: WAITING, waitMs: WAIT_MS });
    const { slots } = this;
    observed(
      'tenantry_tenant_requests_in_flight',
      "Requests with tenants' own credentials that are worked on",
      () => slots.standing().inUse,
    );
    observed(
      'tenantry_tenant_requests_waiting',
      "Requests with tenants' own credentials that wait for one before them",
      () => slots.standing().waiting,
    );
    observed(
      'tenantry_tenant_requests_refused_total',
      'Requests refused because their tenant had too many in flight',
      () => slots.standing().refused,
      true,
    );
  }

  /** For a request that has not been read yet. @throws DomainError `tenant.busy` where it would be refused anyway */
  refuseExcess(tenantId: string): void {
    if (this.slots.isFull(tenantId)) throw this.slots.refusal();
  }

  /** @throws DomainError `tenant.busy` */
  async within<T>(tenantId: string, work: () => Promise<T>): Promise<T> {
    const giveBack = await this.slots.take(tenantId);
    try {
      return await work();
    } finally {
      giveBack();
    }
  }
}
