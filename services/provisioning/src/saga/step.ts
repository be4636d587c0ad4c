import type { ProvisioningStep } from '@tenantry/contracts/tenant/events';
import type { Assumed, SystemCommand } from '@tenantry/event-store/tenant-log';
import type { RegisteredTenant, Tenant } from '../tenant/tenant.js';

export interface StepContext {
  tenantId: string;
  operationId: string;
  tenant: RegisteredTenant;
  /** The tenant's stream as the saga last saw it; a step that appends to it leaves the new one here. */
  life: Assumed<Tenant>;
  /** A command of this step, as part of the operation: its id is the same at every attempt. */
  command: (name: string) => SystemCommand;
}

/** One step of provisioning. `run` and `undo` are idempotent: either may have happened already, in part or whole. */
export abstract class Step {
  abstract readonly name: ProvisioningStep;
  /** A step that isn't needed for this tenant. */
  skip(_tenant: RegisteredTenant): boolean {
    return false;
  }
  abstract run(context: StepContext): Promise<void>;
  async undo(_context: StepContext): Promise<void> {}
}
