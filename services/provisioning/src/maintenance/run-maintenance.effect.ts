import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { Jobs } from '../job/jobs.js';
import { systemCommand } from '../saga/system-command.js';
import { TenantSelection } from '../tenant/tenant-selection.js';
import { comeBackAt } from '../tenant/wait-until.js';
import type { Announced, Announcement } from './maintenance.js';
import type { MaintenancePayload } from './maintenance.process.js';
import { noticeOf } from './notice.js';
import { MaintenanceWindows } from './windows.js';

const NOTICES_AT_ONCE = 8;

/** Brings one window through its time. Each thing it does has an id of its own, so that it can begin anew at any line. */
@Injectable()
export class RunMaintenance extends EffectHandler<MaintenancePayload> {
  readonly effect = 'maintenance';
  override readonly concurrency = 16;
  /** What is not opened or not closed is a fault of ours, never a reason to leave it so. */
  override readonly maxAttempts = Number.MAX_SAFE_INTEGER;

  constructor(
    private readonly windows: MaintenanceWindows,
    private readonly selection: TenantSelection,
    private readonly jobs: Jobs,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run({ payload: { windowId }, causationId }: Effect<MaintenancePayload>): Promise<void> {
    const found = await this.windows.find(windowId);
    const { window, announcement, course } = found;
    if (course?.endedAt) return;
    const isPast = (instant: string) => Date.parse(instant) <= this.clock.nowMs();
    const end = () =>
      this.windows.end(windowId, systemCommand(derivedId('command', windowId, 'over'), { causationId, correlationId: windowId }));
    // Nothing of ours ran meanwhile: it is called off. Opening it now would turn requests away for nothing.
    if (!course && isPast(window.endsAt)) return end();
    await this.notify('announced', window, announcement, causationId);
    if (!course) {
      if (window.noticeAt !== null) {
        comeBackAt(window.noticeAt, this.clock);
        if (!isPast(window.startsAt)) await this.notify('reminder', window, announcement, causationId);
      }
      comeBackAt(window.startsAt, this.clock);
      await this.windows.open(found);
    }
    comeBackAt(window.endsAt, this.clock);
    await end();
  }

  private async notify(
    which: 'announced' | 'reminder',
    window: Announced,
    { tenantIds, actor }: Announcement,
    causationId: string,
  ): Promise<void> {
    const { windowId, scope } = window;
    const command = {
      ...systemCommand(derivedId('command', windowId, which), { causationId, correlationId: windowId }),
      ...(actor ? { actor } : {}),
    };
    if (await this.jobs.has(command)) return; // the selection would only be made in vain
    const ids = scope === 'some' ? tenantIds : (await this.selection.matching({})).tenantIds;
    await this.jobs.start(
      { type: 'bulk.notify', params: noticeOf(which, window), items: ids.map((tenantId) => ({ tenantId })), concurrency: NOTICES_AT_ONCE },
      command,
    );
  }
}
