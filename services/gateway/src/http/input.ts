import { DomainError, type FieldError } from '@tenantry/contracts/errors';
import { fieldErrors, invalid, summary } from '@tenantry/service/validation';
import type { Endpoint } from './endpoint.js';
import { hostileParts } from './hostile.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const isUuid = (text: string): boolean => UUID.test(text);

/** Path parameters as they are compared everywhere: ids in lower case. What people name (a file, a setting) stays as they write it. */
export function normalized(params: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(params)) if (name.endsWith('Id') && UUID.test(value)) params[name] = value.toLowerCase();
  return params;
}

/** JSON text in UTF-8; undefined for an empty body. @throws DomainError `request.malformed` */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(decoder.decode(body));
  } catch (error) {
    throw new DomainError('request.malformed', {
      detail: `The body is not JSON: ${(error as Error).message.replace(/[\p{Cc}\p{Cs}]/gu, '\uFFFD').slice(0, 200)}`,
      cause: error,
    });
  }
}
const decoder = new TextDecoder('utf-8', { fatal: true });

export interface Parts {
  params: unknown;
  query: unknown;
  body: unknown;
}

/**
 * All parts by their schemas. @throws DomainError with every fault of every part: `request.malformed` (400) where only the
 * path or the query is at fault, else `request.invalid` (422)
 */
export function validated({ params, query, body, bodyOptional }: Endpoint, given: Parts): Parts {
  const hostile = [given.params, given.query, given.body].flatMap(hostileParts);
  if (hostile.length > 0) throw invalid(hostile);
  const ofAddress: FieldError[] = [];
  const ofBody: FieldError[] = [];
  const parts: Parts = { params: {}, query: {}, body: {} };
  const parse = (name: keyof Parts, schema: Endpoint['body'], value: unknown, errors: FieldError[]) => {
    const result = schema?.safeParse(value);
    if (result?.success) parts[name] = result.data;
    else if (result) errors.push(...fieldErrors(result.error));
  };
  parse('params', params, given.params, ofAddress);
  parse('query', query, given.query, ofAddress);
  if (!query)
    ofAddress.push(...Object.keys(given.query ?? {}).map((field) => ({ field, rule: 'unknown', message: 'is not a known field' })));
  if (body) parse('body', body, given.body ?? (bodyOptional ? {} : undefined), ofBody);
  else if (given.body !== undefined && !isEmptyObject(given.body)) ofBody.push({ field: '', rule: 'unknown', message: 'must be left out' });
  const errors = [...ofAddress, ...ofBody];
  if (errors.length === 0) return parts;
  if (ofBody.length > 0) throw invalid(errors);
  throw new DomainError('request.malformed', { detail: summary(errors), errors });
}

const isEmptyObject = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.keys(value).length === 0;
