import type { Clock } from '@tenantry/contracts/clock';
import { invalidField } from '@tenantry/contracts/errors';

/** @throws DomainError `request.invalid` for a key that would never work */
export function refusePast(expiresAt: string | undefined, clock: Clock): void {
  if (expiresAt !== undefined && Date.parse(expiresAt) <= clock.nowMs()) throw invalidField('expiresAt', 'future', 'must be in the future');
}
