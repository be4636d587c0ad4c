import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Account } from '@nats-io/jwt';
import { DomainError } from '@tenantry/contracts/errors';
import type { TenantLog } from '@tenantry/event-store/tenant-log';
import { accountClaims, platformExports, userPermissions } from './account.js';
import { beginningOf, labelOf, seenProgress } from './beginning.js';
import type { ConsumerState, Consumers } from './consumers.js';
import { type Existing, eventSubscription, existing, streamOf } from './event-subscription.js';
import { type ConsumerPlan, consumersOf } from './grant.js';
import type { Resolver } from './resolver.js';
import { newInboxPrefix, type Signer } from './signer.js';
import type { Issued, Lease, SubscriptionTable } from './subscription-table.js';

const WAIT_MS = 8_000;
const NOBODY_MS = 50;
const PROBE_MS = 60_000;

/**
 * Makes the broker what the log says: an account and consumers for each active subscription, none for the others. What is right already
 * is left alone, so it may run at any time and any number of times; of one subscription, in one process at a time.
 */
export class Provisioner {
  constructor(
    private readonly log: TenantLog,
    private readonly table: SubscriptionTable,
    private readonly consumers: Consumers,
    private readonly resolver: Resolver,
    private readonly signer: Signer,
  ) {}

  /** @throws DomainError `event_subscription.broker_unavailable`, `event_subscription.not_found` */
  provision(logId: string, subscriptionId: string): Promise<Existing> {
    return this.exclusively(subscriptionId, (lease) => this.apply(logId, subscriptionId, lease));
  }

  /**
   * Makes the credentials of that number, once; older ones are refused from then on.
   * @param expiresAt the end of the key that they are issued with, or null: nobody who was let in until then reads on with them
   * @throws DomainError `idempotency.secret_already_shown`; `event_subscription.superseded`, `event_subscription.revoked`
   */
  async issue(
    logId: string,
    subscriptionId: string,
    credentials: number,
    expiresAt: string | null,
  ): Promise<{ of: Existing; issued: Issued; text: string }> {
    return this.exclusively(subscriptionId, async (lease) => {
      const of = await this.apply(logId, subscriptionId, lease);
      if (of.status === 'revoked') throw new DomainError('event_subscription.revoked');
      if (of.credentials !== credentials) throw new DomainError('event_subscription.superseded');
      const inboxPrefix = newInboxPrefix();
      const until = expiresAt === null ? [] : [Date.parse(expiresAt)];
      const user = await this.signer.issueUser(subscriptionId, of.account, userPermissions(of, inboxPrefix), ...until);
      const issued = { inboxPrefix, expiresAt };
      held(lease);
      if (!(await this.table.issue(subscriptionId, credentials, user.publicKey, issued)))
        throw new DomainError('idempotency.secret_already_shown');
      return { of, issued, text: user.credentials };
    });
  }

  /** Credentials for a minute with exactly the rights of the subscription's own: to find out what these can't do. */
  async probeCredentials(of: Existing): Promise<{ text: string; inboxPrefix: string }> {
    const inboxPrefix = newInboxPrefix();
    const { credentials: text } = await this.signer.issueUser(
      of.subscriptionId,
      of.account,
      userPermissions(of, inboxPrefix),
      Date.now() + PROBE_MS,
    );
    return { text, inboxPrefix };
  }

  /** Whether the account is what it should be. Consumers are looked at elsewhere, all at once. */
  async accountIsRight(of: Existing): Promise<boolean> {
    const found = await this.resolver.find(of.account);
    return found !== null && same(found.nats, await this.wantedAccount(of));
  }

  /** Other accounts can import only what the platform's account exports. */
  async ensureExports(): Promise<void> {
    const { platformAccount } = this.signer;
    const platform = await this.resolver.find(platformAccount);
    if (!platform)
      throw new DomainError('event_subscription.not_configured', {
        detail: "The broker does not know the platform's account: operator and account keys must be those of the broker",
      });
    const others = (platform.nats.exports ?? []).filter((one) => !platformExports.some(({ subject }) => subject === one.subject));
    const exports = [...others, ...platformExports];
    if (same(platform.nats.exports, exports)) return;
    await this.resolver.push(this.signer.signAccount({ ...platform, iat: later(platform.iat), nats: { ...platform.nats, exports } }));
  }

  private async exclusively<T>(subscriptionId: string, work: (lease: Lease) => Promise<T>): Promise<T> {
    const endMs = performance.now() + WAIT_MS;
    for (;;) {
      const lease = await this.table.lease(subscriptionId);
      if (lease) {
        try {
          return await work(lease);
        } finally {
          await lease.release();
        }
      }
      if (performance.now() > endMs)
        throw new DomainError('event_subscription.broker_unavailable', {
          detail: 'The subscription is being changed by another process',
          retryAfterSeconds: 5,
        });
      await sleep(NOBODY_MS);
    }
  }

  private async apply(logId: string, subscriptionId: string, lease: Lease): Promise<Existing> {
    // Within the lease: nobody who knows an older state comes after us.
    const { state } = await this.log.load(eventSubscription, { tenant: logId, stream: streamOf(subscriptionId) });
    const of = existing(state);
    await this.ensureExports();
    const plans = consumersOf(subscriptionId, of);
    // Before the consumers: their sequences are those of the stream that is there before and after.
    const created = await this.consumers.created();
    const [account, infos] = await Promise.all([
      this.resolver.find(of.account),
      Promise.all(plans.map(({ name }) => this.consumers.find(name))),
    ]);
    const wanted = of.status === 'active' ? labelOf(of) : null;
    const stale = infos.filter((info): info is ConsumerState => info !== null && info.label !== wanted);
    let iat = account?.iat ?? 0;
    const push = async (nats: Account) => {
      iat = later(iat);
      held(lease);
      await this.resolver.push(this.signer.signAccount({ name: `event-subscription ${subscriptionId}`, sub: of.account, iat, nats }));
    };
    // Requests that wait at a consumer would be answered into the void: whoever made them is disconnected, then the consumer goes.
    // They may come back at once, and reach nothing until all is done; a client that is turned away may stay away for long.
    if (stale.length > 0 && account) {
      const [closed, silent] = await Promise.all([this.wantedAccount(of, 'closed'), this.wantedAccount(of, 'silent')]);
      await Promise.all(of.status === 'revoked' ? [push(closed)] : [push(closed), push(silent)]);
    }
    if (stale.length > 0) await this.remove(of, created, stale, lease);
    if (of.status === 'active') await this.create(of, created, plans, infos, stale, lease);
    if (of.status === 'revoked') await this.table.forget(subscriptionId);
    const nats = await this.wantedAccount(of);
    if (stale.length > 0 || !account || !same(account.nats, nats)) await push(nats);
    return of;
  }

  /** What they reached is remembered first: where the consumer is wanted again, it goes on from there. */
  private async remove(of: Existing, found: string | null, stale: ConsumerState[], lease: Lease): Promise<void> {
    const created = await this.still(found);
    const known = await this.table.progress(of.subscriptionId);
    await this.table.remember(stale.flatMap((info) => seenProgress(of, info, created, known.get(info.name)) ?? []));
    held(lease);
    await Promise.all(stale.map(({ name }) => this.consumers.remove(name)));
  }

  private async create(
    of: Existing,
    found: string | null,
    plans: ConsumerPlan[],
    infos: (ConsumerState | null)[],
    stale: ConsumerState[],
    lease: Lease,
  ): Promise<void> {
    const missing = plans.filter((_, index) => {
      const info = infos[index];
      return !info || stale.includes(info);
    });
    if (missing.length === 0) return;
    const [created, progress] = await Promise.all([this.still(found), this.table.progress(of.subscriptionId)]);
    held(lease);
    const made = await Promise.all(
      missing.map((plan) =>
        this.consumers.create(plan.name, labelOf(of), plan.filterSubject, beginningOf(of, plan, progress.get(plan.name), created)),
      ),
    );
    await this.still(created).catch(async (error: unknown) => {
      // In a stream that was made meanwhile they would begin anywhere, and leave out what comes before that for ever.
      await Promise.all(missing.map(({ name }) => this.consumers.remove(name)));
      throw error;
    });
    await this.table.remember(
      made.map(({ name, delivered }) => ({
        consumer: name,
        subscriptionId: of.subscriptionId,
        generation: of.start.generation,
        streamCreated: created,
        // Where it begins: nothing before that is its own.
        acknowledged: delivered,
        acknowledgedUntil: null,
      })),
    );
  }

  /** @throws DomainError `event_subscription.broker_unavailable` where the stream is gone, or another one */
  private async still(found: string | null): Promise<string> {
    const created = await this.consumers.created();
    if (created !== null && created === found) return created;
    throw new DomainError('event_subscription.broker_unavailable', {
      detail: 'The event stream is being made anew',
      retryAfterSeconds: 2,
    });
  }

  private async wantedAccount(of: Existing, mode?: 'closed' | 'silent'): Promise<Account> {
    const issued = await this.table.credentials(of.subscriptionId);
    const replaced = issued.filter(({ credentials }) => credentials < of.credentials).map(({ userKey }) => userKey);
    const ofStatus = { active: 'open', paused: 'silent', revoked: 'closed' } as const;
    return accountClaims(of, mode ?? ofStatus[of.status], this.signer.platformAccount, replaced);
  }
}

/** Of two JWTs of one account the brokers keep the later one, and they count in seconds. */
const later = (iat: number): number => Math.max(Math.floor(Date.now() / 1000), iat + 1);

/** Encoding may leave out what is empty. */
const same = (one: unknown, other: unknown) =>
  isDeepStrictEqual(JSON.parse(JSON.stringify(one ?? {})), JSON.parse(JSON.stringify(other ?? {})));

/** A process that was frozen must not go on with what it knew before. */
function held(lease: Lease): void {
  if (performance.now() > lease.untilMs)
    throw new DomainError('event_subscription.broker_unavailable', { detail: 'It took too long', retryAfterSeconds: 1 });
}
