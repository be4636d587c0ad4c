import { namedVersion, ownBytes } from './envelope.js';
import { EnvelopeKeyring } from './envelope-keyring.js';
import type { DataKey } from './keyring.js';
import { SharedFetch } from './shared-fetch.js';

/** The owner of the keys. */
export interface KeyOwner {
  /** The newest keys of several subjects; makes the ones that do not exist yet. */
  ensure(tenantId: string, subjects: readonly string[]): Promise<Iterable<DataKey & { subject: string }>>;
  /** Keys by their ids; those that were destroyed or never were are left out. */
  open(tenantId: string, ids: readonly string[]): Promise<Iterable<DataKey>>;
}

export interface CacheOptions {
  /** How long a key may be used without asking again; at most, and by default, 5 minutes. */
  maxAgeMs?: number;
  /** Tenants whose keys are held; the one unused for longest goes first. Default 10,000. */
  maxTenants?: number;
  /** A monotonic clock in ms; only tests set it. */
  nowMs?: () => number;
}

interface Entry {
  /** By subject: what is encrypted with. */
  newest: SharedFetch<DataKey>;
  /** By id: what is read with. */
  versions: SharedFetch<DataKey>;
  usedAt: number;
}

const FIVE_MINUTES_MS = 300_000;
/** Of one tenant, of each of both kinds. */
const MAX_KEYS = 10_000;

/**
 * Data keys from elsewhere, cached. Concurrent requests for a key share one fetch; keys of one call are fetched together.
 * A failure is not remembered. `forget` also keeps what is on its way from being cached.
 */
export class CachingKeyring extends EnvelopeKeyring {
  /** In order of use: the first is the one unused for longest. */
  private readonly tenants = new Map<string, Entry>();
  private readonly maxTenants: number;
  private readonly held: { maxAgeMs: number; maxHeld: number; nowMs: () => number };

  constructor(
    private readonly owner: KeyOwner,
    options: CacheOptions = {},
  ) {
    super();
    this.maxTenants = options.maxTenants ?? 10_000;
    this.held = {
      maxAgeMs: Math.min(options.maxAgeMs ?? FIVE_MINUTES_MS, FIVE_MINUTES_MS),
      maxHeld: MAX_KEYS,
      nowMs: options.nowMs ?? (() => performance.now()),
    };
  }

  override async keys(tenantId: string, subjects: readonly string[]): Promise<Map<string, DataKey>> {
    const found = await this.use(tenantId).newest.get(subjects);
    for (const subject of subjects) if (!found.has(subject)) throw new Error(`no key for subject ${subject} was given`);
    return found;
  }

  override async opening(tenantId: string, ids: readonly string[]): Promise<Map<string, DataKey>> {
    const { newest, versions } = this.use(tenantId);
    const found = new Map<string, DataKey>();
    const others: string[] = [];
    for (const id of new Set(ids)) {
      const { tenantId: owner, subject } = namedVersion(id);
      if (owner !== tenantId) continue;
      const known = newest.peek(subject);
      if (known?.id === id) found.set(id, known);
      else others.push(id);
    }
    if (others.length === 0) return found;
    for (const [id, key] of await versions.get(others)) {
      found.set(id, key);
      const { subject, version } = namedVersion(id);
      const known = newest.peek(subject);
      // Somebody has a newer one already: what is encrypted here from now on is encrypted with that, too.
      if (known && namedVersion(known.id).version < version) newest.drop(subject);
    }
    return found;
  }

  /** Tenants of whom keys may be held. */
  get size(): number {
    return this.tenants.size;
  }

  override forget(tenantId: string): void {
    // A fetch under way keeps its own entry, which nobody finds any more.
    this.tenants.delete(tenantId);
  }

  private use(tenantId: string): Entry {
    let entry = this.tenants.get(tenantId);
    if (entry) this.tenants.delete(tenantId);
    else {
      entry = {
        newest: new SharedFetch(async (subjects) => {
          const keys = new Map<string, DataKey>();
          for (const { subject, id, key } of await this.owner.ensure(tenantId, subjects)) keys.set(subject, { id, key: ownBytes(key) });
          return keys;
        }, this.held),
        versions: new SharedFetch(async (ids) => {
          const keys = new Map<string, DataKey>();
          for (const { id, key } of await this.owner.open(tenantId, ids)) keys.set(id, { id, key: ownBytes(key) });
          return keys;
        }, this.held),
        usedAt: 0,
      };
    }
    entry.usedAt = this.held.nowMs();
    this.tenants.set(tenantId, entry);
    // What was not asked for within the age that keys may have holds none that is of use.
    for (const [oldest, { usedAt }] of this.tenants) {
      if (this.tenants.size <= this.maxTenants && usedAt > entry.usedAt - this.held.maxAgeMs) break;
      this.tenants.delete(oldest);
    }
    return entry;
  }
}
