import type { FactoryProvider } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import { invalidField } from '@tenantry/contracts/errors';
import type { Decision } from '@tenantry/event-store/aggregate';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Holding } from '../approval/holding.js';
import { itemCommand } from '../job/item-command.js';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';
import type { PlanVersion } from '../plan/plans.js';
import { changePlan, living, type Tenant, tenant, update, type Why } from '../tenant/tenant.js';
import { transitions } from '../tenant/transitions.js';

type Decide<P> = (params: P, now: string) => Decision<Tenant, typeof tenant.events>;

/** What is one decision on the tenant, under the very rules of deciding it for one. */
class TenantDecision<P> extends JobHandler<P> {
  constructor(
    readonly type: string,
    private readonly decide: Decide<P>,
    private readonly approvable: ApprovableCommand | null,
    private readonly log: TenantLog,
    private readonly holding: Holding,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run(item: JobItem, job: RunningJob<P>): Promise<ItemOutcome> {
    const target = { tenant: item.tenantId as string, command: itemCommand(job, item) };
    const decide = this.decide(job.params, this.clock.now());
    const before = await this.log.load(tenant, { tenant: target.tenant });
    // What one may not do alone to one tenant, one may not do alone to many either.
    const { approvable } = this;
    const cleared = approvable === null ? decide : await this.holding.clearedDecision(decide, () => approvable);
    await this.log.transact(tenant, target, cleared, before);
    return { status: 'succeeded' };
  }
}

/** `approvable`: as what a policy may have it approved. */
const decision = <P>(type: string, decide: Decide<P>, approvable: ApprovableCommand | null = null): FactoryProvider => ({
  provide: Symbol(type),
  inject: [TenantLog, Holding, Clock],
  useFactory: (log: TenantLog, holding: Holding, clock: Clock) => new TenantDecision(type, decide, approvable, log, holding, clock),
});

const why = ({ cause, reason }: Partial<Why>): Why => ({ cause: cause ?? 'manual', reason });
const MAX_TAGS = 50;

interface TagChange {
  add?: string[];
  remove?: string[];
}
/** Each tenant keeps the tags that are not named. */
export const changeTags =
  ({ add = [], remove = [] }: TagChange): Decision<Tenant, typeof tenant.events> =>
  (state) => {
    const kept = living(state).tags.filter((tag) => !remove.includes(tag));
    const tags = [...new Set([...kept, ...add])];
    if (tags.length > MAX_TAGS) throw invalidField('params.add', 'too_many', `would make more than ${MAX_TAGS} tags: remove others`);
    return update({ tags }, {})(state);
  };

export const tenantDecisions: FactoryProvider[] = [
  ...Object.entries(transitions).map(([name, decide]) =>
    decision<Partial<Why>>(`bulk.${name}`, (params, now) => decide(why(params), now), name as keyof typeof transitions),
  ),
  decision<PlanVersion>('bulk.plan', changePlan, 'update'),
  decision<TagChange>('bulk.tags', changeTags, 'update'),
];
