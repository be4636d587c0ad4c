import type { SystemCommand } from '@tenantry/event-store/tenant-log';

/** A command of the saga itself: it acts as its service. */
export const systemCommand = (id: string): SystemCommand => ({ id, actor: { kind: 'service', id: 'provisioning' } });
