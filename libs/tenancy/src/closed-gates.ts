import { DomainError } from '@tenantry/contracts/errors';

export interface GateLimits {
  /** Callers that wait for one tenant; the next is refused at once. */
  waiters: number;
  /** How long each waits. */
  waitMs: number;
  /** How often one of them tries. */
  probeMs: number;
}

interface Closed {
  waiting: Set<() => void>;
  /** One caller at a time finds out whether the gate has opened. */
  probe: NodeJS.Timeout;
}

/** Callers before closed gates: they wait here, in memory, never on a pooled connection. */
export class ClosedGates {
  readonly #closed = new Map<string, Closed>();
  constructor(private readonly limits: GateLimits) {}

  isClosed(tenantId: string): boolean {
    return this.#closed.has(tenantId);
  }

  /**
   * Resolves when it is worth a try. @param until end of the caller's wait, on the clock of `performance.now()`
   * @throws DomainError `placement.closed` after that, or when too many wait already
   */
  wait(tenantId: string, until: number): Promise<void> {
    const closed = this.#closed.get(tenantId);
    if (!closed) return Promise.resolve();
    if (closed.waiting.size >= this.limits.waiters) return Promise.reject(refusal());
    return new Promise((resolve, reject) => {
      const go = () => {
        clearTimeout(deadline);
        closed.waiting.delete(go);
        resolve();
      };
      const deadline = setTimeout(
        () => {
          closed.waiting.delete(go);
          reject(refusal());
        },
        Math.max(0, until - performance.now()),
      );
      closed.waiting.add(go);
    });
  }

  /** A caller found the gate closed. The next try is in `probeMs`. */
  close(tenantId: string): void {
    const known = this.#closed.get(tenantId);
    if (known) return void known.probe.refresh();
    const waiting = new Set<() => void>();
    const probe = setTimeout(() => {
      const [first] = waiting;
      if (first) {
        first();
        // Whatever becomes of that try, the next is after the same time: nobody has to say how it ended.
        probe.refresh();
        return;
      }
      // Nobody waits any more: forget it, the next caller tries by itself.
      this.#closed.delete(tenantId);
    }, this.limits.probeMs);
    this.#closed.set(tenantId, { waiting, probe });
  }

  /** A caller came in, or the tenant is gone: everybody may try. */
  open(tenantId: string): void {
    const closed = this.#closed.get(tenantId);
    if (!closed) return;
    this.#closed.delete(tenantId);
    clearTimeout(closed.probe);
    for (const go of [...closed.waiting]) go();
  }
}

const refusal = () => new DomainError('placement.closed', { retryAfterSeconds: 2 });
