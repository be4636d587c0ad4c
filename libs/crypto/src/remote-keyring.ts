import { EnvelopeKeyring } from './envelope-keyring.js';
import type { DataKey } from './keyring.js';

/** Asks the owner of the keys for those of several subjects; makes the ones that do not exist yet. */
export type FetchKeys = (tenantId: string, subjects: readonly string[]) => Promise<Iterable<DataKey & { subject: string }>>;

export interface CacheOptions {
  /** How long a key may be used without asking again; at most, and by default, 5 minutes. */
  maxAgeMs?: number;
  /** Tenants whose keys are held; the one unused for longest goes first. Default 10,000. */
  maxTenants?: number;
  /** A monotonic clock in ms; only tests set it. */
  nowMs?: () => number;
}

interface Entry {
  keys: Map<string, { key: DataKey; fetchedAt: number }>;
  /** Subjects that are being fetched. */
  pending: Map<string, Promise<Map<string, DataKey>>>;
}

const FIVE_MINUTES_MS = 300_000;

/**
 * Data keys from elsewhere, cached. Concurrent requests for a key share one fetch; subjects of one call are fetched together.
 * A failure is not remembered. `forget` also keeps what is on its way from being cached.
 */
export class CachingKeyring extends EnvelopeKeyring {
  /** In order of use: the first is the one unused for longest. */
  private readonly tenants = new Map<string, Entry>();
  private readonly maxAgeMs: number;
  private readonly maxTenants: number;
  private readonly nowMs: () => number;

  constructor(
    private readonly fetchKeys: FetchKeys,
    options: CacheOptions = {},
  ) {
    super();
    this.maxAgeMs = Math.min(options.maxAgeMs ?? FIVE_MINUTES_MS, FIVE_MINUTES_MS);
    this.maxTenants = options.maxTenants ?? 10_000;
    this.nowMs = options.nowMs ?? (() => performance.now());
  }

  override async keys(tenantId: string, subjects: readonly string[]): Promise<Map<string, DataKey>> {
    const entry = this.use(tenantId);
    const oldest = this.nowMs() - this.maxAgeMs;
    const found = new Map<string, DataKey>();
    const waitFor = new Map<string, Promise<Map<string, DataKey>>>();
    const missing: string[] = [];
    for (const subject of new Set(subjects)) {
      const cached = entry.keys.get(subject);
      if (cached && cached.fetchedAt > oldest) {
        found.set(subject, cached.key);
        continue;
      }
      const pending = entry.pending.get(subject);
      if (pending) waitFor.set(subject, pending);
      else missing.push(subject);
    }
    if (missing.length > 0) {
      const fetching = this.fetch(tenantId, entry, missing);
      for (const subject of missing) {
        entry.pending.set(subject, fetching);
        waitFor.set(subject, fetching);
      }
    }
    if (waitFor.size === 0) return found;
    const results = await Promise.all(waitFor.values());
    let index = 0;
    for (const subject of waitFor.keys()) {
      const key = results[index++]?.get(subject);
      if (!key) throw new Error(`no key for subject ${subject} was given`);
      found.set(subject, key);
    }
    return found;
  }

  override forget(tenantId: string): void {
    // A fetch under way keeps its own entry, which nobody finds any more.
    this.tenants.delete(tenantId);
  }

  private use(tenantId: string): Entry {
    let entry = this.tenants.get(tenantId);
    if (entry) this.tenants.delete(tenantId);
    else entry = { keys: new Map(), pending: new Map() };
    this.tenants.set(tenantId, entry);
    if (this.tenants.size > this.maxTenants) {
      for (const oldest of this.tenants.keys()) {
        this.tenants.delete(oldest);
        break;
      }
    }
    return entry;
  }

  private async fetch(tenantId: string, entry: Entry, subjects: string[]): Promise<Map<string, DataKey>> {
    // The age counts from the question: the answer may have been overtaken by a destruction.
    const fetchedAt = this.nowMs();
    try {
      const fetched = new Map<string, DataKey>();
      for (const { subject, id, key } of await this.fetchKeys(tenantId, subjects)) fetched.set(subject, { id, key });
      for (const [subject, key] of fetched) entry.keys.set(subject, { key, fetchedAt });
      return fetched;
    } finally {
      for (const subject of subjects) entry.pending.delete(subject);
    }
  }
}
