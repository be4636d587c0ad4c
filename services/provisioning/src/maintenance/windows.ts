import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { MaintenanceWindow } from '@tenantry/contracts/platform/maintenance';
import { type SystemCommand, TenantLog } from '@tenantry/event-store/tenant-log';
import { type Announced, type Announcement, announced, announcement, type Course, close, courses, open, statusOf } from './maintenance.js';

/** One window as it stands, folded from the log. */
interface Known {
  window: Announced;
  announcement: Announcement;
  course: Course | undefined;
  position: number;
}

/** A window may name ten thousand tenants. */
const MAX_REMEMBERED = 32;

@Injectable()
export class MaintenanceWindows {
  /** Whom windows name, those asked for last at the end: it is settled with the announcement, and every tenant asks for the same. */
  private readonly named = new Map<string, ReadonlySet<string>>();

  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError `maintenance.not_found` */
  async find(windowId: string): Promise<Known> {
    const [told, went] = await Promise.all([
      this.log.load(announcement, { tenant: PLATFORM_LOG, stream: `maintenance-${windowId}` }),
      this.log.load(courses, { tenant: PLATFORM_LOG }),
    ]);
    const window = announced(told.state);
    return { window, announcement: told.state, course: went.state[windowId], position: Math.max(told.position, went.position) };
  }

  /** Whether a window that isn't for all is for this tenant. @throws DomainError `maintenance.not_found` */
  async names(windowId: string, tenantId: string): Promise<boolean> {
    const known = this.named.get(windowId) ?? (await this.namedIn(windowId));
    this.named.delete(windowId);
    this.named.set(windowId, known);
    const [oldest] = this.named.keys();
    if (oldest !== undefined && this.named.size > MAX_REMEMBERED) this.named.delete(oldest);
    return known.has(tenantId);
  }

  private async namedIn(windowId: string): Promise<ReadonlySet<string>> {
    const { state } = await this.log.load(announcement, { tenant: PLATFORM_LOG, stream: `maintenance-${windowId}` });
    announced(state);
    return new Set(state.tenantIds);
  }

  /** Once, whoever is first: who announced it, or its time. */
  async open({ window, announcement: { actor } }: Pick<Known, 'window' | 'announcement'>): Promise<void> {
    const command: SystemCommand = {
      id: derivedId('command', window.windowId, 'open'),
      actor: actor ?? { kind: 'service', id: 'provisioning' },
      correlationId: window.windowId,
    };
    await this.log.transact(courses, { tenant: PLATFORM_LOG, command }, open(window, this.clock.now()));
  }

  async end(windowId: string, command: SystemCommand | Parameters<TenantLog['transact']>[1]['command'], reason?: string): Promise<void> {
    const cause = 'principal' in command ? 'manual' : 'over';
    await this.log.transact(courses, { tenant: PLATFORM_LOG, command }, close(windowId, cause, reason, this.clock.now()));
  }
}

export function windowView({ window, announcement: { tenantIds, announcedAt }, course }: Known): MaintenanceWindow {
  const { windowId: id, scope, ...rest } = window;
  return {
    ...{ id, scope, ...rest, status: statusOf(course), tenants: scope === 'all' ? null : tenantIds.length },
    ...{
      createdAt: new Date(announcedAt ?? window.startsAt).toISOString(),
      startedAt: course?.startedAt ?? null,
      endedAt: course?.endedAt ?? null,
    },
  };
}
