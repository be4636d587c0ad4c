import type { StoredEvent } from '@tenantry/contracts/events';
import type { Logger } from '@tenantry/observability/logger';
import { backoffMs } from './backoff.js';
import type { ParkedStore } from './consumer-rows.js';
import type { Scheduler } from './scheduler.js';

interface Failing {
  attempts: number;
  parked: boolean;
  /** While this is in the future, no run is worth it. Of the steady clock. */
  nextRetryMs: number;
}

const attemptsUntilParked = 5;
const parkedCapMs = 300_000;

/**
 * Counts how often a consumer has failed at a tenant's event. From the fifth time on the tenant is `parked`: visible as a row,
 * tried again by itself with a backoff of at most 5 minutes. Only that tenant's consumer waits.
 */
export class Failures {
  private readonly failing = new Map<string, Failing>();

  constructor(
    private readonly parked: ParkedStore,
    private readonly scheduler: Scheduler,
    private readonly logger: Logger,
  ) {}

  /** Parked ones of before this process began. */
  async load(): Promise<void> {
    const nowMs = this.scheduler.nowMs();
    for (const { consumer, tenantId, attempts, retryInMs } of await this.parked.all()) {
      this.failing.set(`${consumer}:${tenantId}`, { attempts, parked: true, nextRetryMs: nowMs + retryInMs });
    }
  }

  /** Milliseconds that a tenant still has to wait, 0 for none. */
  holdMs(consumer: string, tenantId: string): number {
    const failing = this.failing.get(`${consumer}:${tenantId}`);
    return failing ? Math.max(0, failing.nextRetryMs - this.scheduler.nowMs()) : 0;
  }

  /** @returns milliseconds until the next attempt */
  async failed(consumer: string, event: Pick<StoredEvent, 'tenantId' | 'position' | 'id' | 'type'>, error: unknown): Promise<number> {
    const key = `${consumer}:${event.tenantId}`;
    const attempts = (this.failing.get(key)?.attempts ?? 0) + 1;
    const parked = attempts >= attemptsUntilParked;
    const random = () => this.scheduler.random();
    const delayMs = parked
      ? backoffMs(attempts - attemptsUntilParked + 1, 5_000, parkedCapMs, random)
      : backoffMs(attempts, 200, 5_000, random);
    this.failing.set(key, { attempts, parked, nextRetryMs: this.scheduler.nowMs() + delayMs });
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const { tenantId, position, type } = event;
    const seen = { consumer, tenantId, position, type, attempts, error: text };
    if (!parked) {
      this.logger.warn(seen, 'An event could not be applied');
      return delayMs;
    }
    this.logger.error(seen, 'An event could not be applied: the tenant is parked');
    await this.parked.put({ consumer, tenantId, position, eventId: event.id, error: text, attempts, retryInMs: delayMs });
    return delayMs;
  }

  async succeeded(consumer: string, tenantId: string): Promise<void> {
    const key = `${consumer}:${tenantId}`;
    const failing = this.failing.get(key);
    if (!failing) return;
    this.failing.delete(key);
    if (failing.parked) await this.parked.remove(consumer, tenantId);
  }
}
