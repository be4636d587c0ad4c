import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import type { ConfigChange } from '@tenantry/contracts/config/events';
import { DomainError } from '@tenantry/contracts/errors';
import type { Holding } from '../approval/holding.js';

/** What one may not do alone to one tenant, one may not do alone to many either. @throws DomainError `approval.needed` */
export async function refuseUnapproved(holding: Holding, change: ConfigChange, command: ApprovableCommand): Promise<void> {
  if (await holding.demand(change, command))
    throw new DomainError('approval.needed', { detail: 'A policy has others approve this change: ask for it for the tenant alone.' });
}
