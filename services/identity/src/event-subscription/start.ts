import type { FieldError } from '@tenantry/contracts/errors';
import type { SubscriptionStart } from '@tenantry/contracts/identity/events';
import type { EventStore } from '@tenantry/event-store/port';
import { invalid } from '@tenantry/service/validation';
import type { Start } from './event-subscription.js';

/**
 * The instants that a start means. The stream has no index by position, so delivery begins with the time of that event: a subscriber
 * leaves out what is older.
 * @throws DomainError `request.invalid` with every fault
 */
export async function startOf(
  store: Pick<EventStore, 'readLogs'>,
  from: SubscriptionStart,
  tenants: 'all' | readonly string[],
  now: string,
): Promise<Omit<Start, 'generation'>> {
  if (from === 'first') return { from, startsAt: null };
  if (from === 'new') return { from, startsAt: { all: now } };
  if ('time' in from) {
    const time = new Date(from.time).toISOString();
    if (time > now) throw invalid([{ field: 'from.time', rule: 'past', message: 'must not be in the future: "new" begins now' }]);
    return { from: { time }, startsAt: { all: time } };
  }
  const positions = Object.fromEntries(Object.entries(from.positions).map(([tenantId, position]) => [tenantId.toLowerCase(), position]));
  const named = Object.keys(positions);
  const errors: FieldError[] = [];
  const fault = (tenantId: string, rule: string, message: string) => errors.push({ field: `from.positions.${tenantId}`, rule, message });
  if (named.length === 0) errors.push({ field: 'from.positions', rule: 'required', message: 'must name a position' });
  if (named.length > MAX_POSITIONS)
    errors.push({ field: 'from.positions', rule: 'max', message: `must not name more than ${MAX_POSITIONS}` });
  if (tenants !== 'all') {
    for (const tenantId of named) if (!tenants.includes(tenantId)) fault(tenantId, 'unknown', 'is none of the tenants');
    for (const tenantId of tenants) if (!(tenantId in positions)) fault(tenantId, 'required', 'is required: every tenant needs a position');
  }
  if (errors.length > 0) throw invalid(errors);
  const slices = await store.readLogs(
    named.map((tenantId) => ({ tenantId, from: positions[tenantId] as number })),
    { limit: 1 },
  );
  const startsAt: Record<string, string> = {};
  for (const tenantId of named) {
    const slice = slices.get(tenantId);
    const head = slice?.head ?? -1;
    const position = positions[tenantId] as number;
    if (head < 0) fault(tenantId, 'not_found', 'there is no such tenant');
    else if (position > head + 1) fault(tenantId, 'max', `must not be beyond ${head + 1}, the next position`);
    else startsAt[tenantId] = slice?.events[0]?.recordedAt ?? now;
  }
  if (errors.length > 0) throw invalid(errors);
  if (tenants !== 'all') return { from: { positions }, startsAt };
  // One consumer serves all tenants: it begins with the earliest.
  return { from: { positions }, startsAt: { all: Object.values(startsAt).sort()[0] as string } };
}
const MAX_POSITIONS = 1_000;
