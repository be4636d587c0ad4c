import type { SystemCommand } from '@tenantry/event-store/tenant-log';

/** A command that nobody asked for: the service acts by itself, for the saga as part of an operation (`cause`). */
export const systemCommand = (id: string, cause: Omit<SystemCommand, 'id' | 'actor'> = {}): SystemCommand => ({
  id,
  actor: { kind: 'service', id: 'provisioning' },
  ...cause,
});
