import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { invalidField } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { createMaintenanceWindow } from '@tenantry/contracts/platform/maintenance';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { TenantSelection } from '../tenant/tenant-selection.js';
import { announce, announced, announcement, times, windowIdOf } from './maintenance.js';
import { MaintenanceWindows, windowView } from './windows.js';

/** One that starts now is open before the answer is sent: nobody waits for a timer in an emergency. */
@Controller()
export class CreateWindowRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly selection: TenantSelection,
    private readonly windows: MaintenanceWindows,
    private readonly clock: Clock,
  ) {}

  @Handles(createMaintenanceWindow)
  async handle({ body, command }: Call<typeof createMaintenanceWindow>): Reply<typeof createMaintenanceWindow> {
    const { scope, dryRun, startsAt, endsAt, reason, graceMinutes = 0, emergency = false } = body;
    const now = this.clock.now();
    const when = times({ startsAt, endsAt, reason, graceMinutes, emergency }, now);
    const selected =
      'tenantIds' in scope
        ? await this.selection.named(scope.tenantIds)
        : await this.selection.matching('filter' in scope ? scope.filter : {});
    if (dryRun) {
      const sample = await this.selection.sample(selected.tenantIds);
      return { status: 200, body: { matched: selected.tenantIds.length, sample, unknown: selected.unknown } };
    }
    if (selected.unknown.length > 0)
      throw invalidField(
        'scope.tenantIds',
        'known_tenant',
        `must be tenants that there are; these are none: ${selected.unknown.slice(0, 10).join(', ')}`,
      );
    const windowId = windowIdOf(command.id);
    if ('filter' in scope && selected.tenantIds.length === 0 && !(await this.windows.isAnnounced(windowId)))
      throw invalidField('scope.filter', 'matches', 'must match a tenant: none matches it now, and a window keeps those that matched');
    const named = 'all' in scope ? null : selected.tenantIds;
    await this.log.transact(
      announcement,
      { tenant: PLATFORM_LOG, stream: `maintenance-${windowId}`, command },
      announce({ windowId, ...when, reason, emergency }, named),
    );
    const found = await this.windows.find(windowId);
    if (Date.parse(announced(found.announcement).startsAt) <= this.clock.nowMs()) await this.windows.open(found);
    const { position, ...known } = await this.windows.find(windowId);
    return {
      ...{ status: 201, body: windowView({ ...known, position }) },
      location: `/api/v1/platform/maintenance-windows/${windowId}`,
      position: { tenantId: PLATFORM_LOG, position },
    };
  }
}
