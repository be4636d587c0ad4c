import { DomainError } from '@tenantry/contracts/errors';
import type { Principal } from '@tenantry/contracts/route';
import { hashApiKey, parseApiKey } from '@tenantry/crypto/api-key';
import { TokenBuckets } from '@tenantry/service/token-buckets';

export interface AuthenticatorOptions {
  /** The principal behind a key, by its hash; null where there is none. */
  lookUp: (keyHash: string) => Promise<Principal | null>;
  /** How long an answer is believed. Default 1,000: a revoked key stops working within a second. */
  maxAgeMs?: number;
  maxKeys?: number;
  /** Monotonic, in ms; only tests set it. */
  nowMs?: () => number;
}

interface Known {
  principal: Principal | null;
  untilMs: number;
}

// Failures of one address: more than a person's typing errors or a misconfigured client need, less than guessing does.
const FAILURES_AT_ONCE = 100;
const FAILURES_PER_SECOND = 5;

/** From the Authorization header to the principal. A key with a wrong checksum never leaves this process; the same key is looked up once at a time. */
export class Authenticator {
  private readonly known = new Map<string, Known>();
  private readonly pending = new Map<string, Promise<Principal | null>>();
  private readonly failures = new TokenBuckets(FAILURES_AT_ONCE, FAILURES_PER_SECOND);
  private readonly lookUp: AuthenticatorOptions['lookUp'];
  private readonly maxAgeMs: number;
  private readonly maxKeys: number;
  private readonly nowMs: () => number;

  constructor({ lookUp, maxAgeMs = 1_000, maxKeys = 10_000, nowMs = () => performance.now() }: AuthenticatorOptions) {
    this.lookUp = lookUp;
    this.maxAgeMs = maxAgeMs;
    this.maxKeys = maxKeys;
    this.nowMs = nowMs;
  }

  /** @throws DomainError `auth.unauthenticated`; `rate.limited` after too many failures from that address; `service.unavailable` */
  async authenticate(header: string | undefined, address: string): Promise<Principal> {
    if (header === undefined) throw new DomainError('auth.unauthenticated', { detail: 'Send an API key: Authorization: Bearer tnt_…' });
    const key = /^bearer +(\S+) *$/i.exec(header)?.[1];
    if (key === undefined || parseApiKey(key) === null) throw this.failed(address);
    const hash = hashApiKey(key);
    const now = this.nowMs();
    const known = this.known.get(hash);
    if (known && known.untilMs > now) return known.principal ?? this.fail(address);
    // Keys that were good a moment ago are looked up whatever others at the same address do.
    if (!known?.principal && this.failures.left(address, now) < 1) throw this.failed(address);
    return (await this.fetch(hash)) ?? this.fail(address);
  }

  private fetch(hash: string): Promise<Principal | null> {
    const pending = this.pending.get(hash);
    if (pending) return pending;
    const fetching = this.lookUp(hash)
      .then((principal) => {
        this.remember(hash, { principal, untilMs: this.nowMs() + this.maxAgeMs });
        return principal;
      })
      .finally(() => this.pending.delete(hash));
    this.pending.set(hash, fetching);
    return fetching;
  }

  private remember(hash: string, known: Known): void {
    this.known.delete(hash);
    if (this.known.size >= this.maxKeys) this.known.delete(this.known.keys().next().value as string);
    this.known.set(hash, known);
  }

  private fail(address: string): never {
    throw this.failed(address);
  }

  private failed(address: string): DomainError {
    const now = this.nowMs();
    if (this.failures.take(address, now)) return new DomainError('auth.unauthenticated', { detail: 'The API key is not valid' });
    return new DomainError('rate.limited', {
      detail: 'Too many requests with invalid credentials came from this address',
      retryAfterSeconds: this.failures.retryAfterSeconds(address, now),
    });
  }
}
