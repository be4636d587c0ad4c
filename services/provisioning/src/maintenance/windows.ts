import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { MaintenanceWindow } from '@tenantry/contracts/platform/maintenance';
import { type SystemCommand, TenantLog } from '@tenantry/event-store/tenant-log';
import {
  type Announced,
  type Announcement,
  announced,
  announcement,
  type Course,
  close,
  earlierCourses,
  open,
  statusOf,
} from './maintenance.js';

/** One window as it stands, folded from the log. */
interface Known {
  window: Announced;
  announcement: Announcement;
  course: Course | null;
  position: number;
}

const streamOf = (windowId: string): string => `maintenance-${windowId}`;

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
    const { state, position } = await this.log.load(announcement, { tenant: PLATFORM_LOG, stream: streamOf(windowId) });
    const window = announced(state);
    // One that began on its own stream ends there too; one that began before that may end there.
    const earlier = state.course?.startedAt ? null : await this.earlier(windowId);
    const course = state.course && earlier ? { ...state.course, startedAt: earlier.startedAt } : (state.course ?? earlier);
    return { window, announcement: state, course, position };
  }

  async isAnnounced(windowId: string): Promise<boolean> {
    const { state } = await this.log.load(announcement, { tenant: PLATFORM_LOG, stream: `maintenance-${windowId}` });
    return state.window !== null;
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
    const { state } = await this.log.load(announcement, { tenant: PLATFORM_LOG, stream: streamOf(windowId) });
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
    const { windowId } = window;
    const target = { tenant: PLATFORM_LOG, stream: streamOf(windowId), command };
    await this.log.transact(announcement, target, open(this.clock.now(), await this.earlier(windowId)));
  }

  async end(windowId: string, command: SystemCommand | Parameters<TenantLog['transact']>[1]['command'], reason?: string): Promise<void> {
    const cause = 'principal' in command ? 'manual' : 'over';
    const target = { tenant: PLATFORM_LOG, stream: streamOf(windowId), command };
    await this.log.transact(announcement, target, close(cause, reason, this.clock.now(), await this.earlier(windowId)));
  }

  private async earlier(windowId: string): Promise<Course | null> {
    const { state } = await this.log.load(earlierCourses, { tenant: PLATFORM_LOG });
    return state[windowId] ?? null;
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
