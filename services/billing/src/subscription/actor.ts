import type { Actor } from '@tenantry/contracts/events';

/** Who acts when no person's request stands behind a command. */
export const billingService: Actor = { kind: 'service', id: 'billing' };
