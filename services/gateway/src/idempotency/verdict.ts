import type { ErrorCode } from '@tenantry/contracts/errors';
import type { Rendered } from '../http/rendered.js';

/** What is written down of a key's first request. */
export interface FirstRequest {
  requestHash: string;
  state: 'in_flight' | 'done';
  /** Null while it is in flight. */
  answer: { status: number; headers: Record<string, string>; body: string | null; sealedFor: string | null } | null;
}

export type Verdict = 'mismatch' | 'wait' | 'secret' | 'replay';

/** What a further request with the key gets. */
export function verdictOf({ requestHash, state, answer }: FirstRequest, asked: string): Verdict {
  if (requestHash !== asked) return 'mismatch';
  if (state === 'in_flight' || answer === null) return 'wait';
  return answer.body === null ? 'secret' : 'replay';
}

/** What an answer means for those that ask again. */
export interface Outcome {
  rendered: Rendered;
  /** Of a refusal. */
  code?: ErrorCode;
  /** The body shows a secret this once. */
  secret?: boolean;
  /** The tenant that a success is about: its key seals the stored body. */
  tenantId?: string;
}

const HOUR_MS = 3_600_000;
const REFUSED_MS = 24 * HOUR_MS;
/** What changed something is also answered by the log, for ever: this only spares it the question. */
const CHANGED_MS = 7 * 24 * HOUR_MS;

/** How long an answer is kept; 0 for what says nothing about the request, only about the moment: the same request may be tried again. */
export function keepMs({ rendered: { status, headers }, code }: Outcome): number {
  if (status >= 500 || status === 429 || code === 'log.conflict' || code === 'idempotency.in_flight') return 0;
  return status < 300 && headers['tenantry-position'] !== undefined ? CHANGED_MS : REFUSED_MS;
}
