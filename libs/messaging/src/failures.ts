import type { StoredEvent } from '@tenantry/contracts/events';
import type { Logger } from '@tenantry/observability/logger';
import { errorText } from '@tenantry/observability/redact';
import { backoffMs } from './backoff.js';
import type { ParkedStore } from './consumer-rows.js';
import type { Scheduler } from './scheduler.js';

interface Failing {
  attempts: number;
  parked: boolean;
  /** While this is in the future, no run is worth it. Of the steady clock; infinite where only an operator has it tried again. */
  nextRetryMs: number;
}
type Of = Pick<StoredEvent, 'tenantId' | 'position' | 'id' | 'type'>;

const attemptsUntilParked = 5;
const parkedCapMs = 300_000;
/** Nobody is held longer without being looked at. */
const longestHoldMs = 3_600_000;
const none: ReadonlySet<string> = new Set();

/**
 * Counts how often a consumer has failed at a tenant's event. From the fifth time on the tenant is `parked`: visible as a row,
 * tried again by itself with a backoff of at most 5 minutes, or when an operator says so, who may also have the event left out.
 * Only that tenant's consumer waits.
 */
export class Failures {
  private readonly failing = new Map<string, Failing>();
  private leftOut = new Map<string, Set<string>>();
  /** Up to which position events are applied one by one, to find the one at fault. */
  private readonly narrow = new Map<string, number>();

  constructor(
    private readonly parked: ParkedStore,
    private readonly scheduler: Scheduler,
    private readonly logger: Logger,
  ) {}

  /**
   * Reads what is parked and left out: of before this process began, of other replicas, and as operators have changed it since.
   * Gives the tenants for whom it is worth a new try now.
   */
  async sync(): Promise<{ consumer: string; tenantId: string }[]> {
    const before = new Map(this.failing);
    const [all, skipped] = await Promise.all([this.parked.all(), this.parked.skipped()]);
    this.leftOut = new Map();
    for (const { consumer, tenantId, eventId } of skipped) {
      const key = `${consumer}:${tenantId}`;
      const ids = this.leftOut.get(key) ?? new Set();
      this.leftOut.set(key, ids.add(eventId));
    }
    const nowMs = this.scheduler.nowMs();
    const due: { consumer: string; tenantId: string }[] = [];
    const rows = new Set<string>();
    for (const { consumer, tenantId, position, attempts, retryInMs } of all) {
      const key = `${consumer}:${tenantId}`;
      rows.add(key);
      const nextRetryMs = retryInMs === null ? Number.POSITIVE_INFINITY : nowMs + Math.max(0, retryInMs);
      const known = this.failing.get(key);
      // It may be about to be written by this very process.
      if (known && known !== before.get(key)) continue;
      if (nextRetryMs <= nowMs) {
        if (known && known.nextRetryMs > nowMs) due.push({ consumer, tenantId });
        // Alone: it may be one that kills the process.
        this.suspect(consumer, tenantId, position);
      }
      this.failing.set(key, { attempts, parked: true, nextRetryMs });
    }
    for (const [key, known] of before) {
      if (!known.parked || rows.has(key) || this.failing.get(key) !== known) continue;
      this.failing.delete(key);
      const [consumer = '', tenantId = ''] = key.split(':');
      due.push({ consumer, tenantId });
    }
    return due;
  }

  /** Ids of events of the tenant that an operator has had left out. */
  skipped(consumer: string, tenantId: string): ReadonlySet<string> {
    return this.leftOut.get(`${consumer}:${tenantId}`) ?? none;
  }

  /** From now on the tenant's events are applied one by one, up to that position. */
  suspect(consumer: string, tenantId: string, untilPosition: number): void {
    const key = `${consumer}:${tenantId}`;
    this.narrow.set(key, Math.max(untilPosition, this.narrow.get(key) ?? -1));
  }

  isSuspect(consumer: string, tenantId: string, position: number): boolean {
    return position <= (this.narrow.get(`${consumer}:${tenantId}`) ?? -1);
  }

  /** What may be applied at once of a slice: all of it, or the first event of a tenant that is suspected. */
  narrowed(consumer: string, tenantId: string, events: StoredEvent[], scannedTo: number): { events: StoredEvent[]; scannedTo: number } {
    const first = events[0];
    if (!first || !this.narrow.has(`${consumer}:${tenantId}`)) return { events, scannedTo };
    if (this.isSuspect(consumer, tenantId, first.position)) return { events: [first], scannedTo: first.position };
    this.narrow.delete(`${consumer}:${tenantId}`);
    return { events, scannedTo };
  }

  /** Milliseconds that a tenant still has to wait, 0 for none. */
  holdMs(consumer: string, tenantId: string): number {
    const failing = this.failing.get(`${consumer}:${tenantId}`);
    return failing ? Math.min(longestHoldMs, Math.max(0, failing.nextRetryMs - this.scheduler.nowMs())) : 0;
  }

  /** @returns milliseconds until the next attempt */
  async failed(consumer: string, event: Of, error: unknown): Promise<number> {
    const attempts = (this.failing.get(`${consumer}:${event.tenantId}`)?.attempts ?? 0) + 1;
    const parked = attempts >= attemptsUntilParked;
    const random = () => this.scheduler.random();
    const delayMs = parked
      ? backoffMs(attempts - attemptsUntilParked + 1, 5_000, parkedCapMs, random)
      : backoffMs(attempts, 200, 5_000, random);
    const text = errorText(error);
    if (parked) {
      await this.park(consumer, event, attempts, text, delayMs);
      return delayMs;
    }
    this.failing.set(`${consumer}:${event.tenantId}`, { attempts, parked, nextRetryMs: this.scheduler.nowMs() + delayMs });
    const { tenantId, position, type } = event;
    this.logger.warn({ consumer, tenantId, position, type, attempts, error: text }, 'An event could not be applied');
    return delayMs;
  }

  /** The process has died again and again while it applied this event. Nobody but an operator has it tried again. */
  async killed(consumer: string, event: Of, crashes: number): Promise<void> {
    await this.park(consumer, event, crashes, `The process ended ${crashes} times while it applied this event`, null);
  }

  private async park(consumer: string, event: Of, attempts: number, error: string, retryInMs: number | null): Promise<void> {
    const { tenantId, position, id, type } = event;
    this.failing.set(`${consumer}:${tenantId}`, {
      attempts,
      parked: true,
      nextRetryMs: retryInMs === null ? Number.POSITIVE_INFINITY : this.scheduler.nowMs() + retryInMs,
    });
    this.logger.error({ consumer, tenantId, position, type, attempts, error }, 'An event could not be applied: the tenant is parked');
    await this.parked.put({ consumer, tenantId, position, eventId: id, type, error, attempts, retryInMs });
  }

  async succeeded(consumer: string, tenantId: string): Promise<void> {
    const key = `${consumer}:${tenantId}`;
    const failing = this.failing.get(key);
    if (!failing) return;
    this.failing.delete(key);
    if (failing.parked) await this.parked.remove(consumer, tenantId);
  }
}
