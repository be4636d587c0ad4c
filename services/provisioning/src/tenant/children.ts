import type { EventOf } from '@tenantry/contracts/events';
import { tenantEvents } from '@tenantry/contracts/tenant/events';
import { aggregate } from '@tenantry/event-store/aggregate';

type TenantEvent = EventOf<typeof tenantEvents>;
/** A list of which each state shares what was before: a reseller may admit thousands. */
type Admitted = { childId: string; slug: string; before: Admitted } | null;

/**
 * Whom a reseller admitted as its children, on the stream `children` of its log, each before it is registered. What became of them their own
 * logs say. A reseller whose deletion begins looks here after it wrote that down, and a child's registration looks at the reseller after it
 * was written here: whichever comes second sees the other.
 */
export const children = aggregate<Admitted, typeof tenantEvents>({
  stream: 'children',
  events: tenantEvents,
  initial: null,
  evolve: (before, event): Admitted =>
    event.type === 'ChildAdmitted' ? { childId: event.data.childId, slug: event.data.slug, before } : before,
});

export const admit = (childId: string, slug: string, now: string) => (): TenantEvent[] => [
  { type: 'ChildAdmitted', data: { childId, slug, admittedAt: now } },
];

/** From the ids of all that were ever admitted to their slugs. */
export function admitted(state: Admitted): Map<string, string> {
  const found = new Map<string, string>();
  for (let one = state; one !== null; one = one.before) found.set(one.childId, one.slug);
  return found;
}
