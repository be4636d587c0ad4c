import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { CommandContext } from '@tenantry/contracts/route';

export const etagOf = (version: number): string => `"${version}"`;

/** For what is made of several streams: it can be cached, and not be changed by `If-Match`. */
export const weakEtagOf = (position: number): string => `W/"${position}"`;

/** The version that the caller expects. `*`, like no header, expects none in particular. @throws DomainError `precondition.failed` for what is no ETag of ours */
export function parseIfMatch(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  const match = /^\s*"(\d{1,15})"\s*$/.exec(header);
  if (!match) throw new DomainError('precondition.failed', { detail: 'If-Match must be one ETag as it was answered, such as "3", or *' });
  return Number(match[1]);
}

/** Whether a change may only create: `If-None-Match: *`. @throws DomainError `request.invalid` for an ETag, which only a question can have */
export function parseOnlyNew(header: string | undefined): boolean {
  if (header === undefined) return false;
  if (header.trim() !== '*')
    throw invalidField('If-None-Match', 'format', 'If-None-Match must be * with a change: it asks to create, and never to replace');
  return true;
}

/** Whether what the caller has is what it would get (RFC 9110, weak comparison). */
export function matchesEtag(header: string | undefined, etag: string | undefined): boolean {
  if (header === undefined || etag === undefined) return false;
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '');
  return header.split(',').some((one) => one.trim() === '*' || opaque(one) === opaque(etag));
}

/** `<tenantId>:<position>`: the position that a query must have seen. @throws DomainError `request.invalid` */
export function parseMinPosition(header: string | undefined): CommandContext['minPosition'] {
  if (header === undefined) return undefined;
  const match = /^\s*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(\d{1,15})\s*$/i.exec(header);
  if (!match)
    throw invalidField(
      'Tenantry-Min-Position',
      'format',
      'Tenantry-Min-Position must be a Tenantry-Position as it was answered: <tenant id>:<position>',
    );
  return { tenantId: (match[1] as string).toLowerCase(), position: Number(match[2]) };
}

/** 1 to 255 printable ASCII characters. @throws DomainError `request.invalid` */
export function parseIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(header))
    throw invalidField('Idempotency-Key', 'format', 'Idempotency-Key must have 1 to 255 printable ASCII characters');
  return header;
}
