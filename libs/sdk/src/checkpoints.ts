/** How far a chain was handled: everything up to and including the event at this position. */
export interface Checkpoint {
  /** -1 before the first event. */
  position: number;
  /** Of the event at that position; null where it isn't known. */
  eventId: string | null;
}

/** A chain is a tenant's events of one context, or of `all` contexts: within it nothing is missing. */
export interface Chain {
  /** The subscription's id, or any name that stays the same: several subscriptions may share a store. */
  subscription: string;
  tenantId: string;
  context: string;
}

/** The checkpoint was moved by somebody else: another process of the same subscriber. What was begun has no effect. */
export class CheckpointMoved extends Error {}

/**
 * Where checkpoints are kept. With one that shares a transaction with the handler each event takes effect exactly once; with any other,
 * at least once.
 */
export abstract class Checkpoints<Transaction = undefined> {
  abstract load(chain: Chain): Promise<Checkpoint | null>;
  /** Tenants that there are checkpoints of. */
  abstract tenants(subscription: string): Promise<string[]>;
  /**
   * Does the work and moves the checkpoint, both or neither where the store can.
   * @param from what the checkpoint has to be; null where there is none yet; undefined where that doesn't matter
   * @throws CheckpointMoved where it is something else by now
   */
  abstract move(
    chain: Chain,
    from: Checkpoint | null | undefined,
    to: Checkpoint,
    work: (transaction: Transaction) => Promise<void>,
  ): Promise<void>;
}

const keyOf = ({ subscription, tenantId, context }: Chain): string => `${subscription}/${tenantId}/${context}`;

/** Forgets everything at the end of the process: for subscribers that begin anew each time, and for tests. */
export class MemoryCheckpoints extends Checkpoints {
  protected readonly known = new Map<string, Checkpoint>();

  override async load(chain: Chain): Promise<Checkpoint | null> {
    return this.known.get(keyOf(chain)) ?? null;
  }
  override async tenants(subscription: string): Promise<string[]> {
    const own = [...this.known.keys()].filter((key) => key.startsWith(`${subscription}/`));
    return [...new Set(own.map((key) => key.slice(subscription.length + 1).split('/')[0] as string))];
  }
  override async move(chain: Chain, _from: Checkpoint | null | undefined, to: Checkpoint, work: (transaction: undefined) => Promise<void>) {
    await work(undefined);
    this.known.set(keyOf(chain), to);
  }
}
