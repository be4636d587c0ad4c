import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import type { FactoryProvider } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import {
  accessEvents,
  accessOfReseller,
  openStanding,
  type Standing,
  standingAfter,
  type TenantAccess,
} from '@tenantry/contracts/tenant/access';
import { EventStore } from '@tenantry/event-store/port';
import { Bus } from './bus.js';

export interface TenantGateOptions {
  store: Pick<EventStore, 'readStream'>;
  /** How long what was read is believed. Default 500 ms. */
  maxAgeMs?: number;
  maxTenants?: number;
  /** Monotonic, in ms; only tests set it. */
  nowMs?: () => number;
}

const closed: Record<Exclude<TenantAccess, 'open'>, () => DomainError> = {
  suspended: () => new DomainError('tenant.suspended', { detail: 'The tenant is suspended: only the platform can reactivate it' }),
  archived: () => new DomainError('tenant.archived', { detail: 'The tenant is archived: only the platform can restore it' }),
  deleting: () => new DomainError('tenant.deleting', { detail: 'The tenant is to be deleted: only the platform can undelete it' }),
  deleted: () => new DomainError('tenant.deleted'),
};

interface Known {
  standing: Standing;
  /** The reseller that the tenant is a child of. */
  parentId: string | null;
  /** Of the last event of the tenant's stream that was read. */
  version: number;
  untilMs: number;
  /** Counts what the bus said: an answer that was under way meanwhile is not believed. */
  heard: number;
  reading: Promise<void> | null;
}

/**
 * Whether a tenant may be used, by its log: what is new there is read when what is known is older than half a second, and at once
 * when the bus says that something changed. A message that is lost or forged costs that half a second, or a look.
 */
export class TenantGate {
  private readonly known = new Map<string, Known>();
  private readonly store: TenantGateOptions['store'];
  private readonly maxAgeMs: number;
  private readonly maxTenants: number;
  private readonly nowMs: () => number;

  constructor({ store, maxAgeMs = 500, maxTenants = 10_000, nowMs = () => performance.now() }: TenantGateOptions) {
    this.store = store;
    this.maxAgeMs = maxAgeMs;
    this.maxTenants = maxTenants;
    this.nowMs = nowMs;
  }

  /**
   * A child stands and falls with its reseller.
   * @throws DomainError `tenant.suspended`, `tenant.archived`, `tenant.deleting`, `tenant.deleted`; `service.unavailable` where it can't be known
   */
  async pass(tenantId: string): Promise<void> {
    const { standing, parentId } = await this.current(tenantId);
    if (standing.access !== 'open') throw closed[standing.access]();
    if (parentId !== null && (await this.current(parentId)).standing.access !== 'open')
      throw new DomainError('tenant.suspended', {
        detail: 'The reseller of the tenant may not be used: only the platform can change that',
      });
  }

  /**
   * Whether a reseller's credentials reach its child, whatever they ask for: where the platform closed it they reach as little as the child's own.
   * The reseller itself has passed already.
   * @throws DomainError as `pass`
   */
  async passToChild(childId: string, resellerId: string): Promise<void> {
    const access = accessOfReseller((await this.current(childId)).standing, resellerId);
    if (access !== 'open') throw closed[access]();
  }

  /** The same as an answer. @throws DomainError `service.unavailable` where it can't be known */
  async access(tenantId: string): Promise<TenantAccess> {
    const {
      standing: { access },
      parentId,
    } = await this.current(tenantId);
    if (access !== 'open' || parentId === null) return access;
    return (await this.current(parentId)).standing.access === 'open' ? 'open' : 'suspended';
  }

  /** The reseller of a tenant; null where it has none, or there is no such tenant. @throws DomainError `service.unavailable` */
  async parentOf(tenantId: string): Promise<string | null> {
    return (await this.current(tenantId)).parentId;
  }

  private async current(tenantId: string): Promise<Known> {
    const known = this.entry(tenantId);
    if (known.untilMs <= this.nowMs()) {
      known.reading ??= this.read(tenantId, known).finally(() => {
        known.reading = null;
      });
      await known.reading;
    }
    return known;
  }

  /** Hears of changes over the bus from now on. */
  listen(connection: NatsConnection): Subscription[] {
    return accessEvents.map((type) =>
      connection.subscribe(`tenantry.events.*.tenant.${type}`, {
        callback: (error, message) => {
          if (error === null) this.changed(message.subject.split('.')[2] ?? '');
        },
      }),
    );
  }

  changed(tenantId: string): void {
    const known = this.known.get(tenantId);
    if (!known) return;
    known.heard += 1;
    known.untilMs = Number.NEGATIVE_INFINITY;
  }

  private async read(tenantId: string, known: Known): Promise<void> {
    const { heard } = known;
    const startedMs = this.nowMs();
    try {
      const { events } = await this.store.readStream(tenantId, 'tenant', { fromVersion: known.version + 1 });
      known.standing = events.reduce(standingAfter, known.standing);
      known.parentId = events.reduce(parentAfter, known.parentId);
      known.version = events.at(-1)?.streamVersion ?? known.version;
    } catch (error) {
      throw error instanceof DomainError ? error : new DomainError('service.unavailable', { retryAfterSeconds: 1, cause: error });
    }
    if (known.heard === heard) known.untilMs = startedMs + this.maxAgeMs;
  }

  private entry(tenantId: string): Known {
    const known = this.known.get(tenantId) ?? {
      standing: openStanding,
      parentId: null,
      version: -1,
      untilMs: Number.NEGATIVE_INFINITY,
      heard: 0,
      reading: null,
    };
    // A Map keeps the order of insertion: what was asked for longest ago goes first.
    this.known.delete(tenantId);
    if (this.known.size >= this.maxTenants) this.known.delete(this.known.keys().next().value as string);
    this.known.set(tenantId, known);
    return known;
  }
}

const parentAfter = (parentId: string | null, { type, data }: StoredEvent): string | null =>
  type === 'TenantRegistered' ? ((data as { parentId?: string }).parentId ?? null) : parentId;

/** For a module: the process's gate, which hears the bus. */
export const tenantGate: FactoryProvider<TenantGate> = {
  provide: TenantGate,
  inject: [EventStore, Bus],
  useFactory: (store: EventStore, { connection }: Bus) => {
    const gate = new TenantGate({ store });
    gate.listen(connection);
    return gate;
  },
};
