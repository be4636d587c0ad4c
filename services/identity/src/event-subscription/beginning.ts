import type { Beginning, ConsumerState } from './consumers.js';
import type { Existing } from './event-subscription.js';
import type { ConsumerPlan } from './grant.js';
import type { Progress } from './subscription-table.js';

/** What a consumer was made for. With other credentials it is made again too: requests of the old ones may wait at it. */
export const labelOf = ({ subscriptionId, start, credentials }: Existing): string =>
  `event subscription ${subscriptionId}, start ${start.generation}, credentials ${credentials}`;

/** The start that a consumer was made for; null where it is not one of ours. */
const generationOf = ({ label }: ConsumerState): number | null => {
  const [, generation] = /, start (\d+), credentials \d+$/.exec(label) ?? [];
  return generation === undefined ? null : Number(generation);
};

/** Messages have the broker's time, events the log's: that much the clocks may differ. */
const SKEW_MS = 2_000;
const before = (instant: string): string => new Date(Date.parse(instant) - SKEW_MS).toISOString();

/**
 * Where a consumer has to begin. Rather too early than too late: a subscriber knows positions that it has seen, and leaves them out.
 * Pure.
 */
export function beginningOf(
  { start }: Pick<Existing, 'start'>,
  { tenantId }: Pick<ConsumerPlan, 'tenantId'>,
  progress: Progress | undefined,
  streamCreated: string,
): Beginning {
  const current = progress?.generation === start.generation ? progress : undefined;
  if (current && Date.parse(current.streamCreated) === Date.parse(streamCreated))
    return { policy: 'by_start_sequence', seq: current.acknowledged + 1 };
  if (current?.acknowledgedUntil) return { policy: 'by_start_time', time: before(current.acknowledgedUntil) };
  // It was there, and what it reached is not known: with `new` everything since then would be left out.
  if (start.from === 'new' && !current) return { policy: 'new' };
  const at = start.startsAt?.[tenantId ?? 'all'] ?? start.startsAt?.['all'];
  return at === undefined ? { policy: 'all' } : { policy: 'by_start_time', time: before(at) };
}

/** What is to be remembered of a consumer; null where it was made for another start than the subscription's. */
export function seenProgress(
  { subscriptionId, start }: Pick<Existing, 'subscriptionId' | 'start'>,
  info: ConsumerState,
  streamCreated: string,
  known: Progress | undefined,
  acknowledgedUntil: string | null = null,
): Progress | null {
  if (generationOf(info) !== start.generation) return null;
  const sameStream = known?.generation === start.generation && Date.parse(known.streamCreated) === Date.parse(streamCreated);
  return {
    consumer: info.name,
    subscriptionId,
    generation: start.generation,
    streamCreated,
    // Before anything is acknowledged the floor says 0, wherever the consumer began.
    acknowledged: Math.max(reached(info), sameStream ? known.acknowledged : 0),
    acknowledgedUntil,
  };
}

/** Everything of the consumer's up to that sequence is acknowledged. */
export const reached = ({
  delivered,
  acknowledged,
  unacknowledged,
}: Pick<ConsumerState, 'delivered' | 'acknowledged' | 'unacknowledged'>): number => (unacknowledged === 0 ? delivered : acknowledged);
