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

interface Rhythm {
  /** That it was set for. */
  everyMs?: number;
}

/** All tenants are checked every so many hours, at whole multiples of that since the epoch: replicas and restarts agree on when. */
@Injectable()
export class IsolationChecksTimer extends TimerHandler<Rhythm> implements OnApplicationBootstrap {
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

  /** What became due while no process ran stays: where each start fell on its time, there would never be a check. */
  async onApplicationBootstrap(): Promise<void> {
    await this.next(this.clock.nowMs());
    this.logger.debug({ everyMs: this.everyMs }, 'isolation is checked on schedule');
  }

  override async fire({ dueAt, commandId, payload: { everyMs = this.everyMs } }: DueTimer<Rhythm>): Promise<void> {
    // What was set for another rhythm ends here.
    if (this.everyMs === 0 || everyMs !== this.everyMs) return;
    await this.next(Math.max(this.clock.nowMs(), Date.parse(dueAt)));
    await this.reports.expire(new Date(this.clock.nowMs() - KEPT_MS).toISOString());
    await this.checks.start(undefined, systemCommand(commandId));
  }

  private async next(afterMs: number): Promise<void> {
    if (this.everyMs === 0) return;
    const dueAt = new Date((Math.floor(afterMs / this.everyMs) + 1) * this.everyMs).toISOString();
    await this.timers.schedule(PLATFORM_LOG, PURPOSE, dueAt, { everyMs: this.everyMs } satisfies Rhythm);
  }
}
