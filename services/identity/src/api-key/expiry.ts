import type { Clock } from '@tenantry/contracts/clock';
import { invalidField } from '@tenantry/contracts/errors';

/**
 * When a new key ends: nobody who was let in until then stays longer with a key that he made meanwhile.
 * @returns in UTC
 * @param makersEnd of the key that makes it; null where that has no end
 * @throws DomainError `request.invalid` for a key that would never work, and for one that would outlive its maker
 */
export function endOfNew(expiresAt: string | undefined, makersEnd: string | null, clock: Clock): string | undefined {
  if (expiresAt !== undefined && makersEnd !== null && Date.parse(expiresAt) > Date.parse(makersEnd))
    throw invalidField('expiresAt', 'makers_end', `must not be after the end of the key that makes it, ${makersEnd}; left out, it is that`);
  const end = expiresAt ?? makersEnd ?? undefined;
  if (end !== undefined && Date.parse(end) <= clock.nowMs()) throw invalidField('expiresAt', 'future', 'must be in the future');
  // An offset may be one that PostgreSQL doesn't take, such as +23:59.
  return end === undefined ? undefined : new Date(end).toISOString();
}
