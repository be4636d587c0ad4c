import { Injectable } from '@nestjs/common';
import type { StoredOf } from '@tenantry/contracts/catalogue';
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
  evolve: (state, event) => (event.type === 'PlanPublished' ? versionOf(event.data) : state),
});
function versionOf({ planId, planVersion, ...terms }: StoredOf<'PlanPublished'>['data']): PlanVersion {
  return { ...terms, id: planId, version: planVersion };
}

const CACHE_MS = 5_000;

@Injectable()
export class Plans {
  private readonly cache = new Map<string, { plan: PlanVersion; until: number }>();

  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
  ) {}

  /** Of that version, or the current one where none is named. @throws DomainError `plan.not_found`, naming the field */
  async of({ id, version }: { id: string; version?: number }, field: string): Promise<PlanVersion> {
    if (version === undefined) return this.current(id, field);
    const { events } = await this.log.load(published, { tenant: PLATFORM_LOG, stream: `plan-${id}` });
    const [plan] = (events as StoredOf<'PlanPublished'>[]).flatMap(({ data }) => (data.planVersion === version ? [versionOf(data)] : []));
    if (!plan) throw invalidField(field, 'known_plan', `must be a version that there is: ${id} has no ${version}`, 'plan.not_found');
    return plan;
  }

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
