import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Actor } from '@tenantry/contracts/events';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { planIds, shippedPlans } from '@tenantry/contracts/plans';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { plan, planStream, publish } from './plan.js';

const FIRST_VERSION = 1;
const actor: Actor = { kind: 'system', id: 'billing' };

/**
 * Publishes the shipped catalogue at the first start. A command id follows from plan and version and lasts for ever, so that later starts and
 * other replicas at the same time add nothing. Start-up waits for it: a process without a catalogue is never ready (`catalogue.check.ts`).
 */
@Injectable()
export class PlanSeeder implements OnApplicationBootstrap {
  constructor(private readonly log: TenantLog) {}

  async onApplicationBootstrap(): Promise<void> {
    await Promise.all(
      planIds.map((id) => {
        const command = { id: derivedId('plan.publish', id, FIRST_VERSION), actor };
        return this.log.transact(
          plan,
          { tenant: PLATFORM_LOG, stream: planStream(id), command },
          publish(id, FIRST_VERSION, shippedPlans[id]),
        );
      }),
    );
  }
}
