/** One fault of one field. `field` is a path such as `plan.id`; `rule` a stable word, `message` says what to do. */
export interface FieldError {
  field: string;
  rule: string;
  message: string;
}

/** Every error that a caller may see: its stable code, its status, and its title. */
export const errorCodes = {
  'request.invalid': { status: 422, title: 'The request is not valid' },
  'request.malformed': { status: 400, title: 'The request could not be read' },
  'request.too_large': { status: 413, title: 'The request is too large' },
  'request.not_found': { status: 404, title: 'There is no such resource' },
  'request.method_not_allowed': { status: 405, title: 'The resource has no such method' },
  'request.unsupported_media_type': { status: 415, title: 'The body is not of a type that is taken here' },
  'request.timeout': { status: 408, title: 'The request took too long' },
  'auth.unauthenticated': { status: 401, title: 'Valid credentials are needed' },
  'auth.forbidden': { status: 403, title: 'The credentials do not allow this' },
  'auth.no_tenant': { status: 400, title: 'The credentials belong to no tenant' },
  'precondition.failed': { status: 412, title: 'The resource has changed since' },
  'idempotency.mismatch': { status: 422, title: 'The idempotency key was used with another request' },
  'idempotency.in_flight': { status: 409, title: 'The same request is still being worked on' },
  'idempotency.secret_already_shown': { status: 409, title: 'The secret was shown already' },
  'rate.limited': { status: 429, title: 'Too many requests' },
  'service.unavailable': { status: 503, title: 'The service is not available right now' },
  'service.timeout': { status: 504, title: 'The service did not answer in time' },
  'internal.error': { status: 500, title: 'Something went wrong on our side' },
  'log.conflict': { status: 409, title: 'The resource was changed by somebody else' },
  'log.event_too_large': { status: 413, title: 'The change is too large to record' },
  'tenant.not_found': { status: 404, title: 'There is no such tenant' },
  'tenant.slug_taken': { status: 409, title: 'The slug is taken' },
  'tenant.suspended': { status: 403, title: 'The tenant is suspended' },
  'tenant.archived': { status: 403, title: 'The tenant is archived' },
  'tenant.deleting': { status: 403, title: 'The tenant is to be deleted' },
  'tenant.legal_hold': { status: 409, title: 'A legal hold keeps the tenant from being deleted' },
  'tenant.has_children': { status: 409, title: 'The tenant has children' },
  'tenant.busy': { status: 429, title: 'The tenant does too much at once' },
  'tenant.deleted': { status: 410, title: 'The tenant was deleted' },
  'tenant.not_ready': { status: 409, title: 'The tenant is not ready for this' },
  'tenant.transition_not_allowed': { status: 409, title: 'The tenant cannot go to that state from here' },
  'transition.not_found': { status: 404, title: 'There is no such scheduled transition' },
  'tenant.maintenance': { status: 503, title: 'The tenant is under maintenance' },
  'maintenance.not_found': { status: 404, title: 'There is no such maintenance window' },
  'plan.not_found': { status: 422, title: 'There is no such plan' },
  'domain.taken': { status: 409, title: 'The host name is taken' },
  'domain.invalid': { status: 422, title: 'The host name is not valid' },
  'domain.not_found': { status: 404, title: 'There is no such domain' },
  'quota.exceeded': { status: 429, title: 'The quota is used up' },
  'quota.unknown_resource': { status: 422, title: 'There is no such resource' },
  'settings.not_found': { status: 404, title: 'There is no such setting' },
  'config_version.not_found': { status: 404, title: 'The configuration has no such version' },
  'approval.not_found': { status: 404, title: 'There is no such approval' },
  'approval.needed': { status: 409, title: 'Others have to approve the change' },
  'approval.not_pending': { status: 409, title: 'The approval is decided already' },
  'approval.same_person': { status: 403, title: 'Who asked for a change cannot approve it' },
  'approval.not_named': { status: 403, title: 'Nobody has said who the owner of the credentials is' },
  'operation.not_found': { status: 404, title: 'There is no such operation' },
  'operation.not_retriable': { status: 409, title: 'The operation cannot be retried in its present state' },
  'operation.not_cancellable': { status: 409, title: 'The operation cannot be cancelled in its present state' },
  'operation.not_reversible': { status: 409, title: 'The operation cannot be rolled back in its present state' },
  'operation.not_pausable': { status: 409, title: 'The operation cannot be paused in its present state' },
  'operation.not_resumable': { status: 409, title: 'The operation cannot be resumed in its present state' },
  'bulk.count_differs': { status: 409, title: 'It would be another number of tenants than expected' },
  'parked.not_found': { status: 404, title: 'Nothing of that id is parked' },
  'parked.not_skippable': { status: 409, title: 'It cannot be left out' },
  'projection.not_found': { status: 404, title: 'The service has no such projection' },
  'subscription.not_found': { status: 404, title: 'The tenant has no subscription' },
  'member.exists': { status: 409, title: 'The person is a member already' },
  'member.not_found': { status: 404, title: 'There is no such member' },
  'api_key.not_found': { status: 404, title: 'There is no such API key' },
  'api_key.last': { status: 409, title: 'It is the last key for everything' },
  'event_subscription.not_found': { status: 404, title: 'There is no such event subscription' },
  'event_subscription.revoked': { status: 409, title: 'The event subscription was revoked' },
  'event_subscription.superseded': { status: 409, title: 'Newer credentials were issued meanwhile' },
  'event_subscription.too_wide': { status: 422, title: 'The event subscription needs more consumers than it can have' },
  'event_subscription.not_configured': { status: 503, title: 'Event subscriptions cannot be issued here' },
  'event_subscription.broker_unavailable': { status: 503, title: 'The broker did not do what the event subscription needs' },
  'placement.not_found': { status: 404, title: 'The tenant has no place yet' },
  'placement.unavailable': { status: 503, title: "The tenant's database does not answer" },
  'placement.busy': { status: 503, title: "The tenant's database has no connection free" },
  'placement.closed': { status: 503, title: 'The tenant is being moved' },
  'file.not_found': { status: 404, title: 'There is no such file' },
  'file.busy': { status: 409, title: 'The file is being changed by somebody else' },
  'file.too_large': { status: 413, title: 'The file is too large to be sent this way' },
  'file.range_not_satisfiable': { status: 416, title: 'The file has no such range' },
  'isolation_check.not_found': { status: 404, title: 'There is no such isolation check' },
  'isolation.breached': { status: 409, title: 'A boundary around the tenant has given way' },
  'placement.no_room': { status: 409, title: 'No server has room for the tenant' },
  'server.not_found': { status: 404, title: 'There is no such server' },
  'server.differs': { status: 409, title: 'The name stands for another server' },
  'server.taken': { status: 409, title: 'The server is in use already' },
  'database.taken': { status: 409, title: 'The name of the database is in use already' },
  'placement.not_movable': { status: 409, title: 'The tenant cannot be moved there as it is' },
  'placement.not_caught_up': { status: 409, title: 'The tenant is written to faster than it can be moved' },
  'placement.move_running': { status: 409, title: 'The tenant is being moved already' },
  'placement.copy_differs': { status: 500, title: 'The copy of the tenant is not what the original is' },
  'erasure.not_found': { status: 404, title: 'The tenant was not erased' },
  'erasure.incomplete': { status: 503, title: 'Something of the tenant was still left' },
  'erasure.export_expired': { status: 410, title: 'The export of the tenant has expired' },
  'blueprint.not_found': { status: 404, title: 'There is no such blueprint' },
  'blueprint.version_not_found': { status: 404, title: 'The blueprint has no such version' },
  'blueprint.version_conflict': { status: 409, title: 'The blueprint has another version by that number, or a later one' },
  'blueprint.sql_refused': { status: 422, title: 'The SQL cannot be a version of the blueprint' },
  'blueprint.has_versions': { status: 409, title: 'The blueprint has versions that were accepted for what it supports now' },
  'blueprint.target_differs': { status: 409, title: 'The tenant’s tables are not what their version says' },
  'blueprint.target_locked': { status: 409, title: 'The tenant’s tables stayed locked' },
  'blueprint.target_open': { status: 409, title: 'The version’s SQL would leave the tenant’s tables open' },
  'blueprint.sql_failed': { status: 409, title: 'The version’s SQL fails on the tenant’s tables' },
  'blueprint.campaign_running': { status: 409, title: 'A campaign of the blueprint is under way' },
  'schema.unknown_version': { status: 409, title: 'The tenant’s tables are of a release that is not known here' },
  'keys.other_master_key': { status: 409, title: 'Identity wraps keys with another master key' },
  'keys.not_opened': { status: 409, title: 'Some keys cannot be opened with the master key that wraps them' },
  'keys.destroyed': { status: 410, title: "The tenant's keys were destroyed" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof errorCodes;

/** What is at fault where the code alone says it. */
const faultOf: Partial<Record<ErrorCode, FieldError>> = {
  'idempotency.mismatch': {
    field: 'Idempotency-Key',
    rule: 'same_request',
    message: 'came with another request before; send this one with a new key',
  },
};

export interface DomainErrorOptions {
  /** For the caller: what is wrong and what to do about it. Never holds internals. */
  detail?: string;
  errors?: FieldError[];
  retryAfterSeconds?: number;
  cause?: unknown;
  /** Further members for the problem document, e.g. `remaining`. */
  extensions?: Record<string, unknown>;
}

/** A refusal with a stable code. Mapped to HTTP in one place: `toProblem`. */
export class DomainError extends Error {
  readonly detail: string;
  readonly errors: FieldError[];
  readonly retryAfterSeconds?: number;
  readonly extensions: Record<string, unknown>;
  constructor(
    readonly code: ErrorCode,
    options: DomainErrorOptions = {},
  ) {
    super(options.detail ?? errorCodes[code].title, { cause: options.cause });
    this.name = 'DomainError';
    this.detail = options.detail ?? errorCodes[code].title;
    const fault = faultOf[code];
    this.errors = options.errors ?? (fault ? [fault] : []);
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.extensions = options.extensions ?? {};
  }
}

/** A refusal of one field: 422 with the field, the rule and the remedy. */
export const invalidField = (field: string, rule: string, message: string, code: ErrorCode = 'request.invalid') =>
  new DomainError(code, { detail: message, errors: [{ field, rule, message }] });

/** Problem details (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  traceId?: string;
  errors: FieldError[];
  [extension: string]: unknown;
}

/** Any error as a problem document. What is not a DomainError says nothing of its insides. */
export function toProblem(error: unknown, traceId?: string): Problem {
  const known = error instanceof DomainError ? error : new DomainError('internal.error');
  const { status, title } = errorCodes[known.code];
  return {
    ...known.extensions,
    type: `urn:tenantry:problem:${known.code}`,
    title,
    status,
    code: known.code,
    detail: known.detail,
    traceId,
    errors: known.errors,
  };
}
