import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { Actor, EventOf, Personal } from '@tenantry/contracts/events';
import { derivedId } from '@tenantry/contracts/ids';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { MAX_WINDOW_DAYS } from '@tenantry/contracts/platform/maintenance';
import { aggregate } from '@tenantry/event-store/aggregate';

type PlatformEvent = EventOf<typeof platformEvents>;
type DataOf<T extends PlatformEvent['type']> = Extract<PlatformEvent, { type: T }>['data'];
export type Announced = DataOf<'MaintenanceScheduled'>;

/** Whether it was opened or called off, and whether it is over. */
export interface Course {
  startedAt: string | null;
  endedAt: string | null;
  cancelled: boolean;
  /** What was typed when it was ended. */
  endReason: Personal | null;
}
/** One window, on the stream `maintenance-<id>` of the platform's log. Gates follow all of them by the types of their events. */
export interface Announcement {
  window: Announced | null;
  announcedAt: string | null;
  actor: Actor | null;
  tenantIds: string[];
  course: Course | null;
}

const coursed = (before: Course | null, event: PlatformEvent): Course | null => {
  if (event.type === 'MaintenanceStarted') return { startedAt: event.data.startedAt, endedAt: null, cancelled: false, endReason: null };
  if (event.type !== 'MaintenanceEnded') return before;
  const { cause, reason: endReason = null, endedAt } = event.data;
  return { startedAt: before?.startedAt ?? null, endedAt, cancelled: cause === 'cancelled', endReason };
};
export const announcement = aggregate<Announcement, typeof platformEvents>({
  stream: 'maintenance',
  events: platformEvents,
  initial: { window: null, announcedAt: null, actor: null, tenantIds: [], course: null },
  evolve: (state, event): Announcement => {
    switch (event.type) {
      case 'MaintenanceScheduled':
        return { ...state, window: event.data, announcedAt: event.recordedAt, actor: event.metadata.actor };
      case 'MaintenanceTenantsNamed':
        return { ...state, tenantIds: [...state.tenantIds, ...event.data.tenantIds] };
      case 'MaintenanceStarted':
      case 'MaintenanceEnded':
        return { ...state, course: coursed(state.course, event) };
      default:
        return state; // other events of the platform, on streams of their own
    }
  },
});

/** Before windows had it on their own streams it was on this one, for all of them: nothing is added any more. */
export const earlierCourses = aggregate<Record<string, Course>, typeof platformEvents>({
  stream: 'maintenance',
  events: platformEvents,
  initial: {},
  evolve: (state, event): Record<string, Course> => {
    if (event.type !== 'MaintenanceStarted' && event.type !== 'MaintenanceEnded') return state;
    const { windowId } = event.data;
    const course = coursed(state[windowId] ?? null, event);
    return course ? { ...state, [windowId]: course } : state;
  },
});

export const windowIdOf = (commandId: string): string => derivedId('maintenance', commandId);

/** Ids in one event, so that it stays below what an event may have. */
const IDS_PER_EVENT = 5_000;
/** Of all events of one command together. */
const MAX_NAMED = 10_000;
const minuteMs = 60_000;

export interface Wish {
  startsAt?: string;
  endsAt: string;
  graceMinutes: number;
  reason: string;
  emergency: boolean;
}

/** When it is, from what was wished. @throws DomainError `request.invalid` */
export function times(
  { startsAt, endsAt, graceMinutes, emergency }: Wish,
  now: string,
): Pick<Announced, 'startsAt' | 'endsAt' | 'noticeAt'> {
  const nowMs = Date.parse(now);
  if (emergency && startsAt !== undefined) throw invalidField('startsAt', 'emergency', 'must be left out: an emergency starts at once');
  if (emergency && graceMinutes > 0) throw invalidField('graceMinutes', 'emergency', 'must be left out: an emergency has no grace');
  const wishedMs = startsAt === undefined ? nowMs + graceMinutes * minuteMs : Math.max(nowMs, Date.parse(startsAt));
  const endMs = Date.parse(endsAt);
  if (endMs <= wishedMs) throw invalidField('endsAt', 'after_start', `must be after ${new Date(wishedMs).toISOString()}, when it starts`);
  if (endMs - wishedMs > MAX_WINDOW_DAYS * 24 * 60 * minuteMs)
    throw invalidField(
      'endsAt',
      'too_long',
      `must be at most ${MAX_WINDOW_DAYS} days after the start: announce another window for what comes after`,
    );
  const noticeMs = wishedMs - graceMinutes * minuteMs;
  return {
    startsAt: new Date(wishedMs).toISOString(),
    endsAt: new Date(endMs).toISOString(),
    noticeAt: graceMinutes > 0 && noticeMs > nowMs ? new Date(noticeMs).toISOString() : null,
  };
}

/** @param tenantIds null for all */
export const announce =
  (window: Omit<Announced, 'scope'>, tenantIds: readonly string[] | null) =>
  (state: Announcement): PlatformEvent[] => {
    if (state.window) return [];
    const { windowId } = window;
    if (tenantIds === null) return [{ type: 'MaintenanceScheduled', data: { ...window, scope: 'all' } }];
    if (tenantIds.length > MAX_NAMED)
      throw invalidField(
        'scope',
        'too_many',
        `must be at most ${MAX_NAMED} tenants, or all; announce several windows for ${tenantIds.length}`,
      );
    const portions = Array.from({ length: Math.ceil(tenantIds.length / IDS_PER_EVENT) }, (_, index) =>
      tenantIds.slice(index * IDS_PER_EVENT, (index + 1) * IDS_PER_EVENT),
    );
    return [
      { type: 'MaintenanceScheduled', data: { ...window, scope: 'some' } },
      ...portions.map((ids) => ({ type: 'MaintenanceTenantsNamed' as const, data: { windowId, tenantIds: ids } })),
    ];
  };

/** `earlier`: its course where that is not on its own stream. */
export const open =
  (now: string, earlier: Course | null) =>
  (state: Announcement): PlatformEvent[] => {
    if (state.course ?? earlier) return [];
    const { windowId, scope, endsAt, reason } = announced(state);
    return [{ type: 'MaintenanceStarted', data: { windowId, scope, endsAt, reason, startedAt: now } }];
  };

/** One that was never opened is called off. */
export const close =
  (cause: 'over' | 'manual', reason: string | undefined, now: string, earlier: Course | null) =>
  (state: Announcement): PlatformEvent[] => {
    const course = state.course ?? earlier;
    if (course?.endedAt) return [];
    const { windowId } = announced(state);
    return [{ type: 'MaintenanceEnded', data: { windowId, cause: course ? cause : 'cancelled', reason, endedAt: now } }];
  };

export function announced({ window }: Announcement): Announced {
  if (!window) throw new DomainError('maintenance.not_found');
  return window;
}

export const statusOf = (course: Course | null) =>
  course === null ? 'scheduled' : course.cancelled ? 'cancelled' : course.endedAt ? 'ended' : 'active';
