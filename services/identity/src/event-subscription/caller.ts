import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { Principal } from '@tenantry/contracts/route';
import { permits } from '@tenantry/service/authorize';

/** Whoever hands out credentials that read events must be allowed to read them. @throws DomainError `auth.forbidden` */
export function mayReadEvents({ permissions }: Principal): void {
  if (!permits(permissions, 'event:read'))
    throw new DomainError('auth.forbidden', {
      detail: 'The permission event:read is needed as well: the credentials read events',
      extensions: { permission: 'event:read' },
    });
}

/** The log that a subscription is on: a tenant's own, or the platform's. */
export const logOf = (tenantId: string): string => (tenantId === '' ? PLATFORM_LOG : tenantId);
