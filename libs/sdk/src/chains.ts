import { ChainState } from './chain.js';
import { type Checkpoint, CheckpointMoved } from './checkpoints.js';
import type { EngineOptions } from './engine-options.js';
import type { TenantEvent } from './event.js';
import { type Lane, unprovable } from './lane.js';
import type { LogReader } from './log-reader.js';

/** How far each tenant's chains are, here and in the checkpoints. */
export class Chains<Transaction> {
  constructor(
    private readonly options: EngineOptions<Transaction>,
    private readonly log: LogReader | null,
    private readonly signal: AbortSignal,
  ) {}

  /** The chain of that context, or of that event; where nothing was handled of it yet, from where it begins. */
  async of(lane: Lane, event?: TenantEvent, given?: string): Promise<ChainState> {
    const context = given ?? (this.options.subscription.contexts === 'all' ? 'all' : (event as TenantEvent).context);
    const known = lane.chains.get(context);
    if (known) return known;
    const stored = await this.options.checkpoints.load(this.key(lane, context));
    const made = new ChainState(context, stored ?? (await this.beginning(lane.tenantId, event, context)), stored);
    lane.chains.set(context, made);
    lane.position = Math.max(lane.position, made.last.position);
    return made;
  }

  /** Where a chain begins that nothing was handled of. */
  private async beginning(tenantId: string, event: TenantEvent | undefined, context: string): Promise<Checkpoint> {
    const { from, createdAt } = this.options.subscription;
    const before = event && (context === 'all' ? event.position - 1 : (event.previousInContext ?? -1));
    if (from === 'first') return { position: -1, eventId: null };
    if (typeof from === 'object' && 'positions' in from) {
      const position = from.positions[tenantId];
      if (position !== undefined) return { position: position - 1, eventId: null };
    }
    const time = typeof from === 'object' && 'time' in from ? from.time : createdAt;
    // A log that began since then begins with its first event, as most do that a subscription to all tenants meets.
    if (before === -1 && Date.parse((event as TenantEvent).recordedAt) >= Date.parse(time)) return { position: -1, eventId: null };
    if (this.log) return { position: (await this.log.firstSince(tenantId, time, this.signal)) - 1, eventId: null };
    if (before === undefined) throw unprovable(tenantId, 0);
    return { position: before, eventId: null };
  }

  /** Another process of this subscriber may have gone on: the stored checkpoint says so. */
  async movedElsewhere(lane: Lane, chain: ChainState): Promise<boolean> {
    const stored = await this.options.checkpoints.load(this.key(lane, chain.context));
    if (!stored || (stored.position === chain.stored?.position && stored.eventId === chain.stored.eventId)) return false;
    chain.stored = stored;
    chain.goTo(stored);
    return true;
  }

  /** Writes down where chains are that went over events which nobody wanted. */
  async save(lane: Lane): Promise<void> {
    for (const chain of lane.chains.values()) {
      const { last, stored, context } = chain;
      if (last.eventId === null || last.position === stored?.position) continue;
      try {
        await this.options.checkpoints.move(this.key(lane, context), stored, last, async () => undefined);
        chain.stored = last;
      } catch (error) {
        if (!(error instanceof CheckpointMoved)) throw error;
      }
    }
  }

  key(lane: Lane, context: string) {
    return { subscription: this.options.subscription.id, tenantId: lane.tenantId, context };
  }
}
