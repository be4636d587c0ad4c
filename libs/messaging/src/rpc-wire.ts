import { DomainError, type ErrorCode, errorCodes, type FieldError } from '@tenantry/contracts/errors';
import type { CommandContext, Operation, Route, ServiceName } from '@tenantry/contracts/route';

/** The data of a request. Routes carry `token` and `command`; operations `traceparent`. */
export interface WireRequest {
  input: unknown;
  /** The gateway's word on who asks: an Ed25519 JWT. */
  token?: string;
  command?: Omit<CommandContext, 'principal'>;
  traceparent?: string;
}
/** `stale`: the read models had not caught up with the position that the query named. */
export type WireReply = { ok: unknown; stale?: boolean } | { problem: WireProblem };

/** A DomainError as data. */
export interface WireProblem {
  code: ErrorCode;
  detail: string;
  errors?: FieldError[];
  retryAfterSeconds?: number;
  extensions?: Record<string, unknown>;
}

type Contract = Pick<Route | Operation, 'owner' | 'name'>;
/** What the owner subscribes to: calls of whoever the broker lets publish below its own name. */
export const servedSubject = ({ owner, name }: Contract): string => `rpc.${owner}.*.${name}`;
/** What a caller publishes to; `at` is the process that an addressed operation is asked of. */
export const calledSubject = ({ owner, name }: Contract, caller: ServiceName, at?: string): string =>
  `rpc.${owner}.${caller}.${name}${at === undefined ? '' : `.${at}`}`;
/** The caller that the broker let publish to this subject. */
export const callerOf = (subject: string): string => {
  const start = subject.indexOf('.', 4) + 1;
  return subject.slice(start, subject.indexOf('.', start));
};

const encoder = new TextEncoder();
export const encode = (value: WireRequest | WireReply): Uint8Array => encoder.encode(JSON.stringify(value));
export const decode = <T>(data: Uint8Array): T =>
  JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')) as T;

export function problemOf(error: DomainError): WireProblem {
  return {
    code: error.code,
    detail: error.detail,
    errors: error.errors.length > 0 ? error.errors : undefined,
    retryAfterSeconds: error.retryAfterSeconds,
    extensions: Object.keys(error.extensions).length > 0 ? error.extensions : undefined,
  };
}

/** The error as the callee threw it. A code that this process doesn't know (an older release of it) is `internal.error`. */
export function errorOf({ code, ...problem }: WireProblem): DomainError {
  return Object.hasOwn(errorCodes, code)
    ? new DomainError(code, problem)
    : new DomainError('internal.error', { cause: new Error(`unknown code ${code}`) });
}
