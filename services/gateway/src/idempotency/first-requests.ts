import type { FirstRequest } from './verdict.js';

export interface Claim {
  commandId: string;
  requestHash: string;
  /** Whoever claims, this time. */
  holder: string;
  leaseMs: number;
}

/** What is written down of the first request with each key. */
export abstract class FirstRequests {
  /**
   * Null when the key is this request's to work on now, for `leaseMs`: it is new, has expired, or whoever worked on it is gone.
   * Else what is known of the first one.
   */
  abstract claim(claim: Claim): Promise<FirstRequest | null>;
  /** The work goes on: others wait for `leaseMs` more. */
  abstract prolong(commandId: string, holder: string, leaseMs: number): Promise<void>;
  /** Writes the first answer down. Whoever has lost the claim meanwhile changes nothing. */
  abstract finish(commandId: string, holder: string, answer: NonNullable<FirstRequest['answer']>, keepMs: number): Promise<void>;
  /** The same request may be tried again at once. */
  abstract release(commandId: string, holder: string): Promise<void>;
  /** @returns how many expired ones were removed, at most `limit` */
  abstract purge(limit: number): Promise<number>;
}
