import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type DueTimer, type Effect, EffectHandler, TimerHandler, Timers } from '@tenantry/messaging/effects';
import { config } from '../config/config.js';
import { systemCommand } from '../saga/system-command.js';
import { keepSchedules } from './feature.js';
import type { ScheduleOf } from './schedules.process.js';

const PURPOSE = 'feature-schedule';

/** A timer per tenant and instant. One that would be due already is set for now: a row of that instant may have fired without it. */
@Injectable()
export class AwaitFeatureSchedule extends EffectHandler<ScheduleOf> {
  override readonly effect = 'await-feature-schedule';
  constructor(
    private readonly timers: Timers,
    private readonly clock: Clock,
  ) {
    super();
  }
  override async run({ tenantId, payload: { at } }: Effect<ScheduleOf>): Promise<void> {
    const late = Date.parse(at) <= this.clock.nowMs();
    await this.timers.schedule(tenantId, PURPOSE, late ? this.clock.now() : at, {});
  }
}

/** Readers see a schedule that has come at once; this puts it on record. */
@Injectable()
export class FeatureSchedule extends TimerHandler {
  override readonly purpose = PURPOSE;
  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
  ) {
    super();
  }
  override async fire({ tenantId, commandId }: DueTimer): Promise<void> {
    await this.log.transact(config, { tenant: tenantId, command: systemCommand(commandId) }, keepSchedules(this.clock.now()));
  }
}
