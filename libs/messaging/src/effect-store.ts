/** An effect that somebody has claimed. `claims` fences: who claimed last may say how it ended. */
export interface Claimed {
  id: string;
  tenantId: string;
  name: string;
  payload: unknown;
  causationId: string;
  claims: number;
  /** Attempts that threw. */
  failures: number;
}
/** How a run of an effect ended. */
export interface Ending {
  id: string;
  claims: number;
  state: 'done' | 'pending' | 'parked';
  /** Until it may be claimed again. */
  delayMs: number;
  error: string | null;
  /** Counts as a failed attempt. */
  failed: boolean;
}

/** The outbox, as those see it that empty it. What is written into it, `ConsumerRows` writes. */
export abstract class EffectStore {
  /** Claims due effects, also those whose lease has run out: at most `free` of each name. */
  abstract claim(owner: string, free: { name: string; free: number }[], leaseMs: number): Promise<Claimed[]>;
  /** Changes nothing where somebody else has claimed since. */
  abstract record(endings: Ending[]): Promise<void>;
  /** Prolongs leases. Gives back the claims that still hold. */
  abstract renew(claims: Pick<Claimed, 'id' | 'claims'>[], leaseMs: number): Promise<Pick<Claimed, 'id' | 'claims'>[]>;
  /** Ends the leases that the owner had when it died. */
  abstract takeBack(owner: string): Promise<void>;
}
