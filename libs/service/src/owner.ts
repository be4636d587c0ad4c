import { hostname } from 'node:os';
import type { Environment } from './environment.js';

/**
 * This process by a name that it has again after a restart, and that no other has at the same time: what it held when it died it
 * takes up at once, without waiting for its leases to run out.
 */
export const ownerName = (service: string, { TENANTRY_REPLICA }: Environment['values']): string =>
  `${hostname()}/${service}/${TENANTRY_REPLICA}`;
