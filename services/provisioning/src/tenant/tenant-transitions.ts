import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import type { Decision } from '@tenantry/event-store/aggregate';
import { undelete } from './deletion.js';
import type { TransitionCommand } from './scheduled-transitions.js';
import type { Tenant, Why } from './tenant.js';
import { TenantRetry } from './tenant-retry.js';
import { retry, transitions } from './transitions.js';

type Decide = Decision<Tenant, typeof tenantEvents>;

/** What each command of a tenant's life decides, whoever gives it. */
@Injectable()
export class TenantTransitions {
  constructor(
    private readonly retries: TenantRetry,
    private readonly clock: Clock,
  ) {}

  /** `commandId`: of the command that it becomes a part of. */
  async decision(tenantId: string, command: TransitionCommand, why: Why, commandId: string): Promise<Decide> {
    const now = this.clock.now();
    if (command === 'undelete') return undelete(why, now);
    if (command === 'retry') return retry(await this.retries.nextOperation(tenantId, commandId), why.reason, now);
    return transitions[command](why, now);
  }
}
