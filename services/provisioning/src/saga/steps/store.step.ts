import { Injectable } from '@nestjs/common';
import { Storage } from '@tenantry/tenancy/storage';
import { Step, type StepContext } from '../step.js';

/** The tenant's place for files. */
@Injectable()
export class StoreStep extends Step {
  readonly name = 'store';
  constructor(private readonly storage: Storage) {
    super();
  }
  run({ tenantId }: StepContext): Promise<void> {
    return this.storage.allocate(tenantId);
  }
  override undo({ tenantId }: StepContext): Promise<void> {
    return this.storage.release(tenantId);
  }
}
