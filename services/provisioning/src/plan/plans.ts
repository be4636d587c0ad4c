import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { invalidField } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { type PlanTerms, planIds } from '@tenantry/contracts/plans';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { aggregate } from '@tenantry/event-store/aggregate';
import { TenantLog } from '@tenantry/event-store/tenant-log';

export type PlanVersion = PlanTerms & { id: string; version: number };

/** The current version of a plan, as billing published it on the platform log. */
const published = aggregate<PlanVersion | null, typeof platformEvents>({
  stream: 'plan',
  events: platformEvents,
  initial: null,
  evolve: (state, event) => {
    if (event.type !== 'PlanPublished') return state;
    const { planId, planVersion, ...terms } = event.data;
    return { ...terms, id: planId, version: planVersion };
  },
});

const CACHE_MS = 5_000;

@Injectable()
export class Plans {
  private readonly cache = new Map<string, { plan: PlanVersion; until: number }>();

  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError `plan.not_found`, naming the field */
  async current(id: string, field: string): Promise<PlanVersion> {
    const cached = this.cache.get(id);
    if (cached && cached.until > this.clock.nowMs()) return cached.plan;
    const { state: plan } = await this.log.load(published, { tenant: PLATFORM_LOG, stream: `plan-${id}` });
    if (!plan) throw invalidField(field, 'known_plan', `must be a plan of the catalogue, such as ${planIds.join(', ')}`, 'plan.not_found');
    this.cache.set(id, { plan, until: this.clock.nowMs() + CACHE_MS });
    return plan;
  }
}
