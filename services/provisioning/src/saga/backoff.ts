import { DomainError, type ErrorCode, errorCodes } from '@tenantry/contracts/errors';
import type { Failure } from '../operation/operation.js';

const BASE_MS = 200;
const CAP_MS = 30_000;
const ATTEMPTS = 6;
/** A part of the system is away, or not done yet: that says nothing about the tenant, so it is worth waiting longer. */
const ATTEMPTS_WHILE_AWAY = 25;

const away: ReadonlySet<string> = new Set<ErrorCode>([
  'service.unavailable',
  'service.timeout',
  'log.conflict',
  'placement.closed',
  'placement.unavailable',
  'placement.busy',
  'tenant.busy',
  'erasure.incomplete',
]);
/** Postgres: connection lost, shutting down, starting up, too many connections; Node: sockets. */
const awayCodes = /^(08...|57P0.|53300|55P03|40001|40P01|ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND)$/;

const codeOf = (error: unknown): string => String((error as { code?: unknown })?.code ?? '');
export const isAway = (error: unknown): boolean =>
  error instanceof DomainError
    ? away.has(error.code)
    : awayCodes.test(codeOf(error)) || /connection (terminated|closed|timeout)/i.test(String((error as Error)?.message));

/** Nothing will be different at the next attempt. */
export const isRefusal = (error: unknown): boolean => error instanceof DomainError && errorCodes[error.code].status < 500 && !isAway(error);

/** To leave something half undone is worse than to wait. */
export const ATTEMPTS_TO_UNDO = 12;

/** Milliseconds until the next attempt; null after the last. Full jitter on the upper half (`random` in [0, 1)). */
export function retryAfterMs(error: unknown, attempt: number, random: number, attempts = ATTEMPTS): number | null {
  if (attempt >= (isAway(error) ? ATTEMPTS_WHILE_AWAY : attempts)) return null;
  const full = Math.min(CAP_MS, BASE_MS * 2 ** (attempt - 1));
  return Math.round(full / 2 + (full / 2) * random);
}

/** What an operator sees of a failed attempt: a stable code, and a text without internals for errors that are not ours. */
export function failure(error: unknown): Failure {
  if (error instanceof DomainError) return { code: error.code, detail: error.detail };
  if (isAway(error)) return { code: 'service.unavailable', detail: 'A part of the system was not available.' };
  const code = codeOf(error);
  return {
    code: 'internal.error',
    detail: code
      ? `The step failed (${code}); the log of provisioning has the cause.`
      : 'The step failed; the log of provisioning has the cause.',
  };
}
