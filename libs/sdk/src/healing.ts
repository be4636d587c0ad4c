import type { ChainState } from './chain.js';
import type { Chains } from './chains.js';
import type { Checkpoint } from './checkpoints.js';
import type { Delivery } from './delivery.js';
import type { EngineOptions } from './engine-options.js';
import type { TenantEvent } from './event.js';
import { GivenUp, type Lane, Stopping, unprovable } from './lane.js';
import type { LogReader } from './log-reader.js';

/** What the bus did not bring, or brought in vain, is read from the log. */
export class Healing<Transaction> {
  constructor(
    private readonly options: EngineOptions<Transaction>,
    private readonly log: LogReader | null,
    private readonly chains: Chains<Transaction>,
    private readonly delivery: Delivery<Transaction>,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Reads from the log what is between a chain's checkpoint and a position, and hands it over; what is others' turn on the way, too.
   * @returns false where it was not read to the end: somebody else is at it, or history was rewritten
   */
  async heal(lane: Lane, context: string, to: number): Promise<boolean> {
    const { api, onNotice } = this.options;
    const chain = await this.chains.of(lane, undefined, context);
    if (!api) throw unprovable(lane.tenantId, chain.last.position + 1);
    const from = chain.last.position + 1;
    // The event of the checkpoint is read too: so it is seen at once when it isn't there any more.
    for (let after = chain.last.eventId === null ? chain.last.position : chain.last.position - 1; ; ) {
      const { items, head } = await api.events(lane.tenantId, after, 200, this.signal);
      const { last } = chain;
      const same =
        last.position <= after || last.eventId === null || items.find(({ position }) => position === last.position)?.id === last.eventId;
      if (!same) {
        await this.rewritten(lane, chain);
        return false;
      }
      lane.verifiedMs = performance.now();
      for (const [index, event] of items.entries()) {
        if (event.position > to) break;
        if (this.signal.aborted) throw new Stopping();
        const of = await this.turnOf(lane, chain, event);
        if (of && !(await this.delivery.deliver(lane, of, event, () => items.slice(index)))) return false;
      }
      after = items.at(-1)?.position ?? head;
      if (after >= head || after >= to) break;
    }
    if (chain.last.position >= from) onNotice({ kind: 'healed', tenantId: lane.tenantId, context, from, to: chain.last.position });
    return true;
  }

  /** What the bus does not bring, because it no longer has it: everything up to the log's head. @returns as `heal` */
  async readRest(lane: Lane): Promise<boolean> {
    const { contexts } = this.options.subscription;
    const chains = await Promise.all((contexts === 'all' ? ['all'] : contexts).map((context) => this.chains.of(lane, undefined, context)));
    const [first] = chains.sort((a, b) => a.last.position - b.last.position);
    return !first || (await this.heal(lane, first.context, Number.POSITIVE_INFINITY));
  }

  /** Goes back to where the log and what was handled part, has that undone, and reads on from there. */
  async rewritten(lane: Lane, chain: ChainState): Promise<void> {
    const { onRewritten, checkpoints } = this.options;
    const from = await (this.log as LogReader).divergence(chain, lane.tenantId, this.signal);
    if (from > chain.last.position) return;
    if (!onRewritten)
      throw new GivenUp(
        `The history of tenant ${lane.tenantId} was rewritten from position ${from} on: pass onRewritten to undo what was done since and go on`,
      );
    const before = chain.remembered().findLast(([position]) => position < from);
    const to: Checkpoint = before ? { position: before[0], eventId: before[1] } : { position: -1, eventId: null };
    await this.delivery.persistently(lane, from, () => onRewritten({ tenantId: lane.tenantId, context: chain.context, from }));
    await checkpoints.move(this.chains.key(lane, chain.context), undefined, to, async () => undefined);
    chain.goTo(to);
    chain.stored = to;
    lane.clear.clear();
    lane.position = Math.min(lane.position, to.position);
    lane.verifiedMs = performance.now();
    await this.heal(lane, chain.context, Number.POSITIVE_INFINITY);
  }

  /** The chain whose turn an event of the log is, which is read for one of them. */
  private async turnOf(lane: Lane, chain: ChainState, event: TenantEvent): Promise<ChainState | null> {
    const { contexts } = this.options.subscription;
    if (contexts === 'all' || event.context === chain.context) return event.position > chain.last.position ? chain : null;
    if (!contexts.includes(event.context)) return null;
    // What lies before it may not have been read here.
    const other = await this.chains.of(lane, event);
    return event.position > other.last.position && other.judge(event) === 'next' ? other : null;
  }
}
