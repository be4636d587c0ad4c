import type { Advance, Published, Renewal, Renewed } from './relay-storage.js';

/** What a relay knows of a log's publication. */
export interface LogState {
  published: Published;
  /** In order, without overlaps. */
  renewals: Renewal[];
}

/** What is to be published next: what is due again first, then what is new. */
export function nextPart({ published, renewals }: LogState): { from: number; through: number } {
  const first = renewals[0];
  if (first && first.from <= published.position) return { from: first.from, through: Math.min(first.to, published.position) };
  return { from: published.position + 1, through: Number.POSITIVE_INFINITY };
}

export function messageIdIn({ renewals }: LogState, tenantId: string, position: number): string {
  const renewal = renewals.find(({ from, to }) => from <= position && position <= to);
  return renewal ? `${tenantId}:${position}:r${renewal.n}` : `${tenantId}:${position}`;
}

/** The log's state after everything up to `reached` of its next part was acknowledged, and what to write down for it. */
export function advanced(
  tenantId: string,
  state: LogState,
  reached: { position: number; eventId: string },
): { state: LogState; advance: Advance | null; renewed: Renewed[] } {
  const again = reached.position <= state.published.position;
  const advance = again ? null : { tenantId, from: state.published, to: reached };
  const renewed: Renewed[] = [];
  const renewals: Renewal[] = [];
  for (const renewal of state.renewals) {
    const { n, from, to } = renewal;
    if (from > reached.position) renewals.push(renewal);
    else {
      renewed.push({ tenantId, n, from, next: reached.position + 1, withAdvance: !again });
      if (to > reached.position) renewals.push({ n, from: reached.position + 1, to });
    }
  }
  return { state: { published: again ? state.published : reached, renewals }, advance, renewed };
}
