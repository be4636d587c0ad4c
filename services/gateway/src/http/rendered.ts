import { DomainError, type Problem, toProblem } from '@tenantry/contracts/errors';
import type { Answer } from '@tenantry/contracts/route';
import { traceIdOf } from '@tenantry/observability/traceparent';
import { etagOf, weakEtagOf } from './conditions.js';
import type { Endpoint } from './endpoint.js';

/** An answer as it goes over the wire, and into the table of first answers. */
export interface Rendered {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export const JSON_TYPE = 'application/json; charset=utf-8';
const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

export function renderAnswer({ face }: Endpoint, answer: Answer & { stale?: boolean }): Rendered {
  const body = face === null || answer.body === undefined ? answer.body : face.answer(answer.body, answer.status);
  const headers: Record<string, string> = body === undefined ? {} : { 'content-type': JSON_TYPE };
  if (answer.version !== undefined) headers['etag'] = etagOf(answer.version);
  else if (answer.asOf !== undefined) headers['etag'] = weakEtagOf(answer.asOf);
  if (answer.position) headers['tenantry-position'] = `${answer.position.tenantId}:${answer.position.position}`;
  if (answer.location !== undefined) headers['location'] = answer.location;
  // Lists of the tenant surface are bare arrays; one that came without a total was not paged, and is whole.
  const total = answer.total ?? (face !== null && Array.isArray(body) ? body.length : undefined);
  if (total !== undefined) headers['x-total-count'] = String(total);
  if (answer.retryAfterSeconds !== undefined) headers['retry-after'] = String(answer.retryAfterSeconds);
  if (answer.stale) headers['tenantry-stale'] = 'true';
  return { status: face?.status?.[answer.status] ?? answer.status, headers, body: body === undefined ? '' : JSON.stringify(body) };
}

/** Any error as a problem document. What is not a DomainError says nothing of its insides. */
export function renderProblem(error: unknown, traceparent: string | undefined, fieldNames?: ReadonlyMap<string, string>): Rendered {
  const problem = toProblem(error, traceIdOf(traceparent));
  if (fieldNames && fieldNames.size > 0)
    problem.errors = problem.errors.map((fault) => ({ ...fault, field: renamed(fault.field, fieldNames) }));
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE };
  const retryAfter = error instanceof DomainError ? error.retryAfterSeconds : undefined;
  if (retryAfter !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfter)));
  else if (problem.status === 503) headers['retry-after'] = '1';
  if (problem.status === 429) Object.assign(headers, rateLimit(problem, headers['retry-after']));
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer realm="tenantry"';
  return { status: problem.status, headers, body: JSON.stringify(problem) };
}

/** The three fields that clients know (draft-ietf-httpapi-ratelimit-headers-06); `reset` in seconds. */
function rateLimit({ limit, remaining }: Problem, reset: string | undefined): Record<string, string> {
  return {
    ...(typeof limit === 'number' ? { 'ratelimit-limit': String(limit) } : {}),
    'ratelimit-remaining': String(typeof remaining === 'number' ? remaining : 0),
    ...(reset === undefined ? {} : { 'ratelimit-reset': reset }),
  };
}

/** `plan.id` by the face's name of `plan.id`, or of the `plan` that it is in. */
function renamed(field: string, names: ReadonlyMap<string, string>): string {
  for (let end = field.length; end > 0; end = field.lastIndexOf('.', end - 1)) {
    const name = names.get(field.slice(0, end));
    if (name !== undefined) return name + field.slice(end);
  }
  return field;
}
