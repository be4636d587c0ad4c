import { Injectable } from '@nestjs/common';
import { Reservations } from '@tenantry/messaging/reservations';
import { Step, type StepContext } from '../step.js';

/** The slug belongs to the tenant for good; a failed tenant keeps it, so that it can be retried. */
@Injectable()
export class RegisterStep extends Step {
  readonly name = 'register';
  constructor(private readonly reservations: Reservations) {
    super();
  }
  run({ tenantId, tenant }: StepContext): Promise<void> {
    return this.reservations.confirm('slug', tenant.slug, tenantId);
  }
}
