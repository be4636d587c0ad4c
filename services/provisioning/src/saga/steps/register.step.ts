import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { Reservations } from '@tenantry/messaging/reservations';
import { Step, type StepContext } from '../step.js';

/** The slug belongs to the tenant for good; a failed tenant keeps it, so that it can be retried. */
@Injectable()
export class RegisterStep extends Step {
  readonly name = 'register';
  constructor(private readonly reservations: Reservations) {
    super();
  }
  async run({ tenantId, tenant }: StepContext): Promise<void> {
    const reserve = () => this.reservations.reserve('slug', tenant.slug, { tenantId, claim: 'tenant', ttlMs: 60_000 });
    if (await this.reservations.confirm('slug', tenant.slug, tenantId)) return;
    if ((await reserve()) !== 'reserved') throw new DomainError('tenant.slug_taken');
    await this.reservations.confirm('slug', tenant.slug, tenantId);
  }
}
