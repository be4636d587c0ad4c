import type { Checkpoint } from './checkpoints.js';
import type { TenantEvent } from './event.js';

/** Ids that are remembered of a chain, so that another one at a known position is noticed without asking. */
const REMEMBERED = 200;

/**
 * What a message is to a chain that was handled up to `last`:
 * - `next`: its turn
 * - `known`: handled already
 * - `hole`: something before it is missing
 * - `old`: from before, and not remembered
 * - `strange`: it says something else than what is known, so history was rewritten, or it is forged: the log knows
 */
export type Verdict = 'next' | 'known' | 'hole' | 'old' | 'strange';

/** A chain in memory: how far it was handled, and the ids of what was handled last. */
export class ChainState {
  private readonly ids = new Map<number, string>();

  constructor(
    readonly context: string,
    private checkpoint: Checkpoint,
    /** As it is stored; null where it isn't yet. Behind `last` where nothing but unwanted events came since. */
    public stored: Checkpoint | null,
  ) {
    this.remember(checkpoint);
  }

  get last(): Checkpoint {
    return this.checkpoint;
  }

  /** Position of the event that comes before this one in the chain; -1 for none. */
  private before(event: TenantEvent): number {
    return this.context === 'all' ? event.position - 1 : (event.previousInContext ?? -1);
  }

  judge(event: TenantEvent): Verdict {
    const { position, eventId } = this.checkpoint;
    if (event.position <= position) {
      const id = this.ids.get(event.position);
      // Where it isn't known which event is there, the chain begins after it.
      if (eventId === null || id === event.id) return 'known';
      return id === undefined ? 'old' : 'strange';
    }
    const before = this.before(event);
    if (before === position || (eventId === null && before < position)) return 'next';
    return before > position ? 'hole' : 'strange';
  }

  advance(event: TenantEvent): Checkpoint {
    this.checkpoint = { position: event.position, eventId: event.id };
    this.remember(this.checkpoint);
    return this.checkpoint;
  }

  /** History was rewritten, or somebody else moved the checkpoint. */
  goTo(checkpoint: Checkpoint): void {
    for (const position of this.ids.keys()) if (position > checkpoint.position) this.ids.delete(position);
    this.checkpoint = checkpoint;
    this.remember(checkpoint);
  }

  /** Positions and ids that are remembered, oldest first. */
  remembered(): [number, string][] {
    return [...this.ids].sort(([a], [b]) => a - b);
  }

  private remember({ position, eventId }: Checkpoint): void {
    if (eventId === null) return;
    this.ids.set(position, eventId);
    if (this.ids.size > REMEMBERED) this.ids.delete(this.ids.keys().next().value as number);
  }
}
