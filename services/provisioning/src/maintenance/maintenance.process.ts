import { effect, processManager } from '@tenantry/messaging/projection';

export interface MaintenancePayload {
  windowId: string;
}

/** A window that was announced is brought through: notices, its start, its end. */
export const maintaining = processManager({
  name: 'maintenance',
  on: { MaintenanceScheduled: ({ data: { windowId } }) => effect('maintenance', { windowId } satisfies MaintenancePayload) },
});
