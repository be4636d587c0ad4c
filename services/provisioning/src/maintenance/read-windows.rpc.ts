import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { invalidField } from '@tenantry/contracts/errors';
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
import { and, asc, desc, eq, gt, inArray, sql } from 'drizzle-orm';
import { registered, tenant } from '../tenant/tenant.js';
import { windows } from './maintenance-windows.projection.js';
import { MaintenanceWindows, windowView } from './windows.js';

const DEFAULT_LIMIT = 50;

function decodeCursor(cursor: string): { startsAt: string; windowId: string } {
  const [startsAt, windowId] = Buffer.from(cursor, 'base64url').toString().split('|');
  if (!startsAt || !windowId || Number.isNaN(Date.parse(startsAt)) || !/^[0-9a-f-]{36}$/.test(windowId))
    throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
  return { startsAt, windowId };
}

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
    const after = cursor === undefined ? undefined : decodeCursor(cursor);
    const rows = await this.database.db
      .select()
      .from(windows)
      .where(
        and(
          status && eq(windows.status, status),
          after && sql`(${windows.startsAt}, ${windows.windowId}) < (${after.startsAt}::timestamptz, ${after.windowId}::uuid)`,
        ),
      )
      .orderBy(desc(windows.startsAt), desc(windows.windowId))
      .limit(limit + 1);
    const shown = rows.slice(0, limit);
    const last = rows.length > limit ? shown.at(-1) : undefined;
    const nextCursor = last ? Buffer.from(`${last.startsAt}|${last.windowId}`).toString('base64url') : null;
    return { status: 200, body: { items: shown.map(shownRow), nextCursor } };
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
