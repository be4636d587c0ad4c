import type { Context } from '@tenantry/contracts/events';
import { reached } from './beginning.js';
import type { Consumers } from './consumers.js';
import type { Existing } from './event-subscription.js';
import { type ConsumerPlan, consumersOf, filterOf } from './grant.js';
import type { SubscriptionTable } from './subscription-table.js';

export interface Lag {
  tenantId: string;
  context: 'all' | Context;
  delivered: number;
  acknowledged: number;
  head: number;
}
/** Logs that are looked at where a consumer is for all of them: those that grew last. */
const MAX_LOGS = 50;
const AT_ONCE = 16;

type Head = Awaited<ReturnType<SubscriptionTable['heads']>>[number];

/**
 * How far a subscription has come, in positions of each tenant's log. The broker counts in its own sequence: the first message of the
 * tenant and context after the consumer's says which position comes next.
 */
export async function lagOf(of: Existing, consumers: Consumers, table: SubscriptionTable): Promise<Lag[]> {
  const plans = consumersOf(of.subscriptionId, of);
  const [heads, progress, infos] = await Promise.all([
    table.heads(of.tenants === 'all' ? null : of.tenants, of.tenants === 'all' ? MAX_LOGS : of.tenants.length),
    table.progress(of.subscriptionId),
    Promise.all(plans.map(({ name }) => consumers.find(name))),
  ]);
  const wanted = plans.flatMap((plan, index) => {
    const info = infos[index];
    const kept = progress.get(plan.name)?.acknowledged;
    // A paused subscription has no consumers: what is remembered is where it stopped.
    if (!info && kept === undefined) return [];
    const acknowledged = Math.max(info ? reached(info) : 0, kept ?? 0);
    const delivered = Math.max(info?.delivered ?? 0, acknowledged);
    return heads
      .filter(({ tenantId }) => plan.tenantId === null || plan.tenantId === tenantId)
      .map((head) => ({ plan, head, delivered, acknowledged }));
  });
  const lags: Lag[] = [];
  for (let next = 0; next < wanted.length; next += AT_ONCE) {
    const batch = wanted.slice(next, next + AT_ONCE).map(async ({ plan, head, delivered, acknowledged }): Promise<Lag> => {
      const last = lastOf(plan, head);
      const [toDeliver, toAcknowledge] = await Promise.all(
        [...new Set([delivered, acknowledged])].map((seq) => before(consumers, plan, head, seq, last)),
      );
      return {
        tenantId: head.tenantId,
        context: plan.context ?? 'all',
        delivered: toDeliver as number,
        acknowledged: toAcknowledge ?? (toDeliver as number),
        head: last,
      };
    });
    lags.push(...(await Promise.all(batch)));
  }
  return lags;
}

const lastOf = ({ context }: ConsumerPlan, { position, contexts: last }: Head): number =>
  context === null ? position : (last[context] ?? -1);

/** Position of the last event of the plan's that comes before the first one after the sequence. */
async function before(consumers: Consumers, { context }: ConsumerPlan, { tenantId }: Head, seq: number, last: number): Promise<number> {
  const next = await consumers.nextMessage(filterOf(tenantId, context), seq + 1);
  if (!next) return last;
  if (context === null) return Number(next.header('ce-position')) - 1;
  const previous = next.header('ce-previncontext');
  return previous === null || previous === '' ? -1 : Number(previous);
}
