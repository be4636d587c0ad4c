import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { type DueTimer, TimerHandler, Timers } from '@tenantry/messaging/effects';
import { Logger } from '@tenantry/observability/logger';
import { Environment } from '@tenantry/service/environment';
import { systemCommand } from '../saga/system-command.js';
import { IsolationChecks } from './isolation-checks.js';
import { Reports } from './reports.js';

const PURPOSE = 'isolation-checks';
const HOUR_MS = 3_600_000;
const KEPT_MS = 90 * 24 * HOUR_MS;

/** All tenants are checked every so many hours, at whole multiples of that since the epoch: replicas and restarts agree on when. */
@Injectable()
export class IsolationChecksTimer extends TimerHandler implements OnApplicationBootstrap {
  override readonly purpose = PURPOSE;
  private readonly everyMs: number;

  constructor(
    private readonly checks: IsolationChecks,
    private readonly reports: Reports,
    private readonly timers: Timers,
    private readonly clock: Clock,
    private readonly logger: Logger,
    { values }: Environment,
  ) {
    super();
    this.everyMs = values.TENANTRY_ISOLATION_CHECK_HOURS * HOUR_MS;
  }

  async onApplicationBootstrap(): Promise<void> {
    // Another rhythm than before: what was set for the old one goes.
    await this.timers.cancel(PLATFORM_LOG, PURPOSE);
    await this.next(this.clock.nowMs());
    this.logger.debug({ everyMs: this.everyMs }, 'isolation is checked on schedule');
  }

  override async fire({ dueAt, commandId }: DueTimer): Promise<void> {
    if (this.everyMs === 0) return;
    await this.next(Math.max(this.clock.nowMs(), Date.parse(dueAt)));
    await this.reports.expire(new Date(this.clock.nowMs() - KEPT_MS).toISOString());
    await this.checks.start(undefined, systemCommand(commandId));
  }

  private async next(afterMs: number): Promise<void> {
    if (this.everyMs === 0) return;
    const dueAt = new Date((Math.floor(afterMs / this.everyMs) + 1) * this.everyMs).toISOString();
    await this.timers.schedule(PLATFORM_LOG, PURPOSE, dueAt, {});
  }
}
