import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import {
  endMaintenanceWindow,
  getMaintenanceWindow,
  listMaintenanceWindows,
  listTenantMaintenance,
  type MaintenanceWindow,
} from '@tenantry/contracts/platform/maintenance';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { Database } from '@tenantry/service/database';
import { newestFirst, pageOf } from '@tenantry/service/newest-first';
import { and, asc, eq, gt, inArray } from 'drizzle-orm';
import { registered, tenant } from '../tenant/tenant.js';
import { windows } from './maintenance-windows.projection.js';
import { MaintenanceWindows, windowView } from './windows.js';

const DEFAULT_LIMIT = 50;

const { us, order, after } = newestFirst(windows.startsAt, windows.windowId);

@Controller()
export class ReadWindowsRpc {
  constructor(
    private readonly database: Database,
    private readonly windows: MaintenanceWindows,
    private readonly log: TenantLog,
    private readonly clock: Clock,
    private readonly keyring: Keyring,
  ) {}

  @Handles(listMaintenanceWindows)
  async list({ query }: Call<typeof listMaintenanceWindows>): Reply<typeof listMaintenanceWindows> {
    const { status, cursor, limit = DEFAULT_LIMIT } = query;
    const found = await this.database.db
      .select({ row: windows, us })
      .from(windows)
      .where(and(status && eq(windows.status, status), after(cursor)))
      .orderBy(...order)
      .limit(limit + 1);
    const { rows, nextCursor } = pageOf(found, limit, ({ row }) => row.windowId);
    return { status: 200, body: { items: rows.map(({ row }) => shownRow(row)), nextCursor } };
  }

  @Handles(getMaintenanceWindow)
  async get({ params: { windowId }, command }: Call<typeof getMaintenanceWindow>): Reply<typeof getMaintenanceWindow> {
    const found = await this.windows.find(windowId);
    const reason = found.course?.endReason ?? null;
    const shown = reason !== null && permits(command.principal.permissions, 'personal:read');
    const more = shown ? { endReason: await this.keyring.reveal(PLATFORM_LOG, reason) } : {};
    return { status: 200, body: { ...windowView(found), ...more } };
  }

  @Handles(listTenantMaintenance)
  async ofTenant({ tenantId }: Call<typeof listTenantMaintenance>): Reply<typeof listTenantMaintenance> {
    const [{ state }, rows] = await Promise.all([
      this.log.load(tenant, { tenant: tenantId }),
      this.database.db
        .select()
        .from(windows)
        .where(and(inArray(windows.status, ['scheduled', 'active']), gt(windows.endsAt, this.clock.now())))
        .orderBy(asc(windows.startsAt), asc(windows.windowId)),
    ]);
    registered(state);
    const concerns = await Promise.all(rows.map(({ windowId, scope }) => scope === 'all' || this.windows.names(windowId, tenantId)));
    const items = rows.filter((_, index) => concerns[index]).map(shownRow);
    return {
      status: 200,
      body: {
        items: items.map(({ id, status, startsAt, endsAt, reason, emergency }) => ({ id, status, startsAt, endsAt, reason, emergency })),
      },
    };
  }

  @Handles(endMaintenanceWindow)
  async end({ params: { windowId }, body, command }: Call<typeof endMaintenanceWindow>): Reply<typeof endMaintenanceWindow> {
    await this.windows.find(windowId);
    await this.windows.end(windowId, command, body?.reason);
    const found = await this.windows.find(windowId);
    return { status: 200, body: windowView(found), position: { tenantId: PLATFORM_LOG, position: found.position } };
  }
}

const iso = (text: string) => new Date(text).toISOString();
function shownRow({ windowId: id, ...row }: typeof windows.$inferSelect): MaintenanceWindow {
  return {
    ...row,
    id,
    ...{ startsAt: iso(row.startsAt), endsAt: iso(row.endsAt), createdAt: iso(row.createdAt) },
    noticeAt: row.noticeAt && iso(row.noticeAt),
    startedAt: row.startedAt && iso(row.startedAt),
    endedAt: row.endedAt && iso(row.endedAt),
  } as MaintenanceWindow;
}
