import type { NatsConnection } from '@nats-io/transport-node';
import type { FactoryProvider } from '@nestjs/common';
import type { StoredOf } from '@tenantry/contracts/catalogue';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { MAX_WINDOW_DAYS } from '@tenantry/contracts/platform/maintenance';
import { EventStore } from '@tenantry/event-store/port';
import { Bus } from './bus.js';

export interface MaintenanceGateOptions {
  store: Pick<EventStore, 'readStream' | 'readLog'>;
  clock: Clock;
  /** How long what was read is believed. Default 500 ms. */
  maxAgeMs?: number;
  /** Monotonic, in ms; only tests set it. */
  nowMs?: () => number;
}

interface OpenWindow {
  endsAt: string;
  endsAtMs: number;
  reason: string;
  /** Null for all. */
  tenantIds: ReadonlySet<string> | null;
}
const DAY_MS = 24 * 3_600_000;
const types = ['MaintenanceStarted', 'MaintenanceEnded'] as const;

/**
 * Whether a tenant is under maintenance, by the platform's log: what is new there is read when what is known is older than half a second,
 * and at once when the bus says that something changed. A window is over when its time is, whoever says so later.
 */
export class MaintenanceGate {
  private readonly windows = new Map<string, OpenWindow>();
  /** The log's first position that was not looked at; null before the first look. */
  private next: number | null = null;
  private untilMs = Number.NEGATIVE_INFINITY;
  /** Counts what the bus said: an answer that was under way meanwhile is not believed. */
  private heard = 0;
  private reading: Promise<void> | null = null;
  private readonly store: MaintenanceGateOptions['store'];
  private readonly clock: Clock;
  private readonly maxAgeMs: number;
  private readonly nowMs: () => number;

  constructor({ store, clock, maxAgeMs = 500, nowMs = () => performance.now() }: MaintenanceGateOptions) {
    this.store = store;
    this.clock = clock;
    this.maxAgeMs = maxAgeMs;
    this.nowMs = nowMs;
  }

  /** @throws DomainError `tenant.maintenance` with the seconds that are left; `service.unavailable` where it can't be known */
  async pass(...tenantIds: string[]): Promise<void> {
    if (this.untilMs <= this.nowMs()) {
      this.reading ??= this.read().finally(() => {
        this.reading = null;
      });
      await this.reading;
    }
    const now = this.clock.nowMs();
    for (const { endsAt, endsAtMs, reason, tenantIds: held } of this.windows.values()) {
      if (endsAtMs <= now || (held && !tenantIds.some((id) => held.has(id)))) continue;
      throw new DomainError('tenant.maintenance', {
        detail: `There is maintenance until ${endsAt}: ${reason}`,
        retryAfterSeconds: (endsAtMs - now) / 1_000,
        extensions: { endsAt },
      });
    }
  }

  /** Hears of changes over the bus from now on. */
  listen(connection: NatsConnection): void {
    for (const type of types)
      connection.subscribe(`tenantry.events.${PLATFORM_LOG}.platform.${type}`, {
        callback: (error) => {
          if (error === null) this.changed();
        },
      });
  }

  changed(): void {
    this.heard += 1;
    this.untilMs = Number.NEGATIVE_INFINITY;
  }

  private async read(): Promise<void> {
    const { heard } = this;
    const startedMs = this.nowMs();
    try {
      const { events, next } = await this.since(this.next ?? (await this.firstThatMatters()));
      const over = new Set(events.flatMap((event) => (event.type === 'MaintenanceEnded' ? [windowOf(event)] : [])));
      const now = this.clock.nowMs();
      const begun = events.filter(isStart).filter(({ data }) => !over.has(data.windowId) && Date.parse(data.endsAt) > now);
      const opened = await Promise.all(begun.map(async ({ data }) => [data.windowId, await this.opened(data)] as const));
      for (const [id, window] of this.windows) if (over.has(id) || window.endsAtMs <= now) this.windows.delete(id);
      for (const [id, window] of opened) this.windows.set(id, window);
      this.next = next;
    } catch (error) {
      throw error instanceof DomainError ? error : new DomainError('service.unavailable', { retryAfterSeconds: 1, cause: error });
    }
    if (this.heard === heard) this.untilMs = startedMs + this.maxAgeMs;
  }

  private async since(from: number): Promise<{ events: StoredEvent[]; next: number }> {
    const found: StoredEvent[] = [];
    for (let next = from; ; ) {
      const { events, scannedTo, head } = await this.store.readLog(PLATFORM_LOG, next, { types });
      found.push(...events);
      next = scannedTo + 1;
      if (next > head) return { events: found, next };
    }
  }

  /** What began before is over by its time: no window is open for longer. A log's positions are in the order of its times. */
  private async firstThatMatters(): Promise<number> {
    const sinceMs = this.clock.nowMs() - (MAX_WINDOW_DAYS + 1) * DAY_MS;
    const at = (position: number) => this.store.readLog(PLATFORM_LOG, position, { limit: 1 });
    let [low, high] = [0, (await at(0)).head + 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const [event] = (await at(middle)).events;
      if (event && Date.parse(event.recordedAt) < sinceMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private async opened({ windowId, scope, endsAt, reason }: StoredOf<'MaintenanceStarted'>['data']): Promise<OpenWindow> {
    const window = { endsAt, endsAtMs: Date.parse(endsAt), reason };
    if (scope === 'all') return { ...window, tenantIds: null };
    const { events } = await this.store.readStream(PLATFORM_LOG, `maintenance-${windowId}`, { fromVersion: 0 });
    return { ...window, tenantIds: new Set(events.filter(isNaming).flatMap(({ data }) => data.tenantIds)) };
  }
}

const isStart = (event: StoredEvent): event is StoredOf<'MaintenanceStarted'> => event.type === 'MaintenanceStarted';
const isNaming = (event: StoredEvent): event is StoredOf<'MaintenanceTenantsNamed'> => event.type === 'MaintenanceTenantsNamed';
const windowOf = ({ data }: StoredEvent): string => (data as { windowId: string }).windowId;

/** For a module: the process's gate, which hears the bus. */
export const maintenanceGate: FactoryProvider<MaintenanceGate> = {
  provide: MaintenanceGate,
  inject: [EventStore, Clock, Bus],
  useFactory: (store: EventStore, clock: Clock, { connection }: Bus) => {
    const gate = new MaintenanceGate({ store, clock });
    gate.listen(connection);
    return gate;
  },
};
