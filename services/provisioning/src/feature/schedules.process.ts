import { effect, processManager } from '@tenantry/messaging/projection';

export interface ScheduleOf {
  at: string;
}

/** What is scheduled gets a timer. */
export const schedulesProcess = processManager({
  name: 'feature-schedules',
  on: { FeatureScheduled: ({ data: { at } }) => effect('await-feature-schedule', { at } satisfies ScheduleOf) },
});
