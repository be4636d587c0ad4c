import { DomainError } from '@tenantry/contracts/errors';
import { permits } from '@tenantry/service/authorize';

/** Those of `wanted` that are not held, with their index: nobody grants what he hasn't. */
const notHeld = (held: readonly string[], wanted: readonly string[]): { index: number; permission: string }[] =>
  wanted.map((permission, index) => ({ index, permission })).filter(({ permission }) => !permits(held, permission));

/** The permissions, when their grantor has them all. @throws DomainError `auth.forbidden` that names each one he lacks */
export function grantable(held: readonly string[], wanted: readonly string[]): string[] {
  const lacking = notHeld(held, wanted);
  if (lacking.length > 0) {
    throw new DomainError('auth.forbidden', {
      detail: 'Only permissions that the caller has can be granted',
      errors: lacking.map(({ index, permission }) => ({
        field: `permissions.${index}`,
        rule: 'not_held',
        message: `${permission} is not among the caller's permissions`,
      })),
    });
  }
  return [...wanted];
}
