const day = 24 * 3_600_000;
/** Done effects are kept for so long, and fired timers. */
export const effectsKeptMs = 8 * day;
/** An effect of an event of this time is still known, if it was ever asked for: what is done is done after its event was recorded. */
export const effectsKnownMs = 7 * day;

/** A claimed effect. `id` is v5(event id, effect name): the provider's idempotency key, never a sequence. */
export interface Effect<P = unknown> {
  id: string;
  tenantId: string;
  name: string;
  payload: P;
  /** The event that asked for it. */
  causationId: string;
  attempt: number;
  /** Aborted at shutdown and when the lease was lost. */
  signal: AbortSignal;
}

/** Runs one kind of effect. Discovered by the worker among the providers of the service's modules. */
export abstract class EffectHandler<P = unknown> {
  abstract readonly effect: string;
  /** How many of this kind run at once in one process. Default 8. */
  readonly concurrency: number = 8;
  /** Failures after which an effect is parked. Default: the worker's, 20. */
  readonly maxAttempts: number | undefined = undefined;
  /** Throws to be tried again with exponential backoff; `GiveUp` to be parked. */
  abstract run(effect: Effect<P>): Promise<void>;
}

/** Thrown by a handler whose effect can never succeed: it is parked at once, visible to operators. */
export class GiveUp extends Error {}

/** Thrown by a handler that knows when to be called again: not counted as a failed attempt. */
export class ComeBack extends Error {
  constructor(readonly afterMs: number) {
    super(`again in ${afterMs} ms`);
  }
}

/** A due timer: fires at least once, `commandId` is the same every time. */
export interface DueTimer<P = unknown> {
  tenantId: string;
  purpose: string;
  dueAt: string;
  payload: P;
  commandId: string;
}
export abstract class TimerHandler<P = unknown> {
  abstract readonly purpose: string;
  abstract fire(timer: DueTimer<P>): Promise<void>;
}
/** Durable timers, rows in the service's schema keyed (tenant, purpose, due). */
export abstract class Timers {
  abstract schedule(tenantId: string, purpose: string, dueAt: string, payload: unknown): Promise<void>;
  abstract cancel(tenantId: string, purpose: string): Promise<void>;
}
