import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { Logger } from '@tenantry/observability/logger';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { every } from '@tenantry/service/every';
import { labelOf, reached, seenProgress } from './beginning.js';
import { Broker } from './broker.js';
import type { ConsumerState } from './consumers.js';
import { subscriptionsAfter } from './event-subscriptions.projection.js';
import { consumersOf, subscriptionOf } from './grant.js';
import { type Progress, SubscriptionTable } from './subscription-table.js';

/** Accounts are looked at one by one, so more seldom. */
const ACCOUNTS_EVERY = 6;
const PAGE = 200;
const AT_ONCE = 8;
const FIRST = '00000000-0000-0000-0000-000000000000';
/** The id of the check's own lease: no subscription has it. */
const CHECK = FIRST;
/** Messages whose time is asked for in one round. */
const MAX_TIMES = 50;

type Known = Awaited<ReturnType<typeof subscriptionsAfter>>[number];
interface Seen {
  consumers: Map<string, ConsumerState>;
  streamCreated: string;
  /** Everything that was published before is in `consumers`. */
  at: string;
  times: number;
}

/** The broker may lose its disk, or get an old copy of it back: what is missing or wrong is made again. One replica does it at a time. */
@Injectable()
export class CheckJob implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;
  private round = 0;

  constructor(
    private readonly broker: Broker,
    private readonly table: SubscriptionTable,
    private readonly database: Database,
    private readonly environment: Environment,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    if (this.environment.values.TENANTRY_ROLE === 'api' || !this.broker.configured) return;
    const failed = (error: unknown) =>
      this.logger.warn({ err: error }, 'Event subscriptions could not be checked; the next round tries again');
    const look = async () => {
      // A round that another process held, or that failed, was none: who has just died may hold it still.
      if (await this.check(this.round % ACCOUNTS_EVERY === 0)) this.round += 1;
    };
    this.end = every(this.environment.values.TENANTRY_SUBSCRIPTION_CHECK_SECONDS * 1_000, look, failed);
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  /** @returns false where another process is at it */
  async check(accounts: boolean): Promise<boolean> {
    const lease = await this.table.lease(CHECK);
    if (!lease) return false;
    try {
      const first = await subscriptionsAfter(this.database, FIRST, PAGE);
      if (first.length === 0) return true;
      const at = this.clock.now();
      const created = await this.broker.consumers.created();
      const consumers = await this.broker.consumers.list();
      // Else what consumers of one stream have reached would be taken for sequences of another.
      if (created === null || (await this.broker.consumers.created()) !== created)
        throw new DomainError('event_subscription.broker_unavailable', { detail: 'The event stream is being made anew' });
      const seen: Seen = {
        consumers: new Map(consumers.filter(({ name }) => subscriptionOf(name) !== null).map((info) => [info.name, info])),
        streamCreated: created,
        at,
        times: 0,
      };
      for (let page = first; page.length > 0; page = await subscriptionsAfter(this.database, page.at(-1)?.subscriptionId as string, PAGE)) {
        for (let next = 0; next < page.length; next += AT_ONCE)
          await Promise.all(page.slice(next, next + AT_ONCE).map((of) => this.checkOne(of, seen, accounts)));
        if (performance.now() > lease.untilMs) return true;
      }
      return true;
    } finally {
      await lease.release();
    }
  }

  private async checkOne(of: Known, seen: Seen, accounts: boolean): Promise<void> {
    try {
      const found = consumersOf(of.subscriptionId, of).map(({ name, filterSubject }) => ({
        filterSubject,
        info: seen.consumers.get(name),
      }));
      const right =
        of.status === 'active'
          ? found.every(({ info, filterSubject }) => info?.label === labelOf(of) && info.filterSubject === filterSubject)
          : found.every(({ info }) => info === undefined);
      if (!right || (accounts && !(await this.broker.provisioner.accountIsRight(of)))) {
        this.logger.warn(
          { subscriptionId: of.subscriptionId },
          'The broker has something else than the event subscription needs: made again',
        );
        await this.broker.provisioner.provision(of.logId, of.subscriptionId);
      } else if (of.status === 'active') {
        await this.remember(
          of,
          found.flatMap(({ info }) => info ?? []),
          seen,
        );
      }
    } catch (error) {
      this.logger.warn(
        { err: error, subscriptionId: of.subscriptionId },
        'An event subscription could not be checked; the next round tries again',
      );
    }
  }

  /** How far it has come, for the day on which the broker no longer knows. */
  private async remember(of: Known, infos: ConsumerState[], seen: Seen): Promise<void> {
    const known = await this.table.progress(of.subscriptionId);
    const progress = await Promise.all(
      infos.map(async (info): Promise<Progress | null> => {
        const before = known.get(info.name);
        const idle = info.pending === 0 && info.unacknowledged === 0;
        if (!idle && before?.acknowledged === reached(info)) return null;
        const until = idle ? seen.at : seen.times++ < MAX_TIMES ? await this.timeOf(reached(info)) : null;
        return seenProgress(of, info, seen.streamCreated, before, until);
      }),
    );
    await this.table.remember(progress.flatMap((one) => one ?? []));
  }

  private async timeOf(seq: number): Promise<string | null> {
    return seq < 1 ? null : ((await this.broker.consumers.messageAt(seq))?.time ?? null);
  }
}
