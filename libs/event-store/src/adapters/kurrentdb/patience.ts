import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '@tenantry/contracts/errors';
import { isTransient } from '../postgres/transient.js';
import { ForeignEvent } from './recorded.js';
import { isRefusal } from './server.js';

/** Waits for a server or a database that does not answer, so long. */
export class Patience {
  constructor(readonly retryForMs: number) {}

  /**
   * Does it again where it isn't answered.
   * @param endMs of `performance.now()`
   * @throws DomainError `service.unavailable` when the time is over; at once what comes again however often it is tried
   */
  async again<T>(work: () => Promise<T>, endMs = performance.now() + this.retryForMs): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof DomainError || isRefusal(error) || isLasting(error)) throw error;
        const waitMs = retryInMs(attempt);
        if (performance.now() + waitMs > endMs) throw new DomainError('service.unavailable', { cause: error, retryAfterSeconds: 5 });
        await sleep(waitMs);
      }
    }
  }
}

export const retryInMs = (attempt: number): number => Math.min(1_000, 25 * 2 ** attempt) * (0.5 + Math.random() / 2);

/** Whether an error comes again however often it is tried: the database's answer to a statement, what doesn't belong in a log. */
function isLasting(error: unknown): boolean {
  if (error instanceof ForeignEvent || error instanceof TypeError || error instanceof RangeError) return true;
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !isTransient(error);
}
