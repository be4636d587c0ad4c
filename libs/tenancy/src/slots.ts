import { DomainError } from '@tenantry/contracts/errors';

export interface SlotLimits {
  /** What one tenant (or database) may have in use at once. */
  inUse: number;
  /** Who may wait behind that, for each; the next is refused at once. */
  waiting: number;
  /** How long each waits. */
  waitMs: number;
}

interface Taken {
  inUse: number;
  /** In the order in which they came. */
  waiting: Set<() => void>;
}

const tenantBusy = () =>
  new DomainError('tenant.busy', { detail: 'Wait for answers before asking for more, or ask again later', retryAfterSeconds: 1 });

/**
 * A tenant's share of something that all tenants use: what it has in use, and who waits for a share of it, are bounded. Whoever waits
 * holds nothing but a place in the queue, so that a tenant that asks for too much delays itself only. The same for what else there is
 * several of, such as databases.
 */
export class Slots {
  readonly #taken = new Map<string, Taken>();
  #refusals = 0;

  constructor(
    private readonly limits: SlotLimits,
    /** What those get that are refused. */
    private readonly refused = tenantBusy,
  ) {}

  /**
   * @param of whose slots: a tenant's id, or the name of something else
   * @param atMost in use at once, where it is less than the limit
   * @returns what gives the slot back; further calls of it do nothing
   * @throws DomainError `tenant.busy`, or what else it was told, when too many wait already, or after the wait
   */
  async take(of: string, atMost = this.limits.inUse): Promise<() => void> {
    const taken = this.#taken.get(of) ?? { inUse: 0, waiting: new Set() };
    this.#taken.set(of, taken);
    if (taken.inUse < Math.min(atMost, this.limits.inUse)) taken.inUse += 1;
    // Whoever gives a slot back hands it over: the number in use stays.
    else await this.#wait(taken);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#giveBack(of, taken);
    };
  }

  /** Whether the next one would be refused at once. */
  isFull(of: string): boolean {
    const taken = this.#taken.get(of);
    return taken !== undefined && taken.inUse >= this.limits.inUse && taken.waiting.size >= this.limits.waiting;
  }

  /** What it holds in all, for whoever counts. `tenants` are those with anything in use. */
  standing(): { tenants: number; inUse: number; waiting: number; refused: number } {
    const all = [...this.#taken.values()];
    const sum = (of: (taken: Taken) => number) => all.reduce((total, taken) => total + of(taken), 0);
    return { tenants: all.length, inUse: sum(({ inUse }) => inUse), waiting: sum(({ waiting }) => waiting.size), refused: this.#refusals };
  }

  /** The refusal, for whoever asks `isFull` first. */
  refusal(): DomainError {
    this.#refusals += 1;
    return this.refused();
  }

  #wait({ waiting }: Taken): Promise<void> {
    if (waiting.size >= this.limits.waiting) throw this.refusal();
    return new Promise((resolve, reject) => {
      const go = () => {
        clearTimeout(deadline);
        resolve();
      };
      const deadline = setTimeout(() => {
        waiting.delete(go);
        reject(this.refusal());
      }, this.limits.waitMs);
      waiting.add(go);
    });
  }

  #giveBack(of: string, taken: Taken): void {
    const [next] = taken.waiting;
    if (next) {
      taken.waiting.delete(next);
      next();
      return;
    }
    taken.inUse -= 1;
    if (taken.inUse === 0) this.#taken.delete(of);
  }
}
