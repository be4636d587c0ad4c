import type { SteppedType } from '@tenantry/contracts/tenant/operation-events';
import type { SystemCommand } from '@tenantry/event-store/tenant-log';
import type { Facts } from './stepped.js';

export interface OperationContext {
  tenantId: string;
  operationId: string;
  /** What was asked for. */
  input: Facts;
  /** What the steps before it left for later ones, by their names. */
  results: Readonly<Record<string, Facts | null>>;
  /** A command of this operation: its id is the same at every attempt of the same round. */
  command: (name: string) => SystemCommand;
  /**
   * Whether this step is still what is to happen now. Another process may have gone on since this one looked: asked again by who is
   * alone at the work, before it does what must not happen later.
   */
  isDue: () => Promise<boolean>;
  /** Aborted at shutdown, and where another process has taken over. */
  signal: AbortSignal;
}

/** `run` and `undo` are idempotent: either may have happened already, in part or whole. Both may throw `ComeBack` to be called again later. */
export interface OperationStep {
  readonly name: string;
  /** A step that isn't needed. */
  skip?(context: OperationContext): Promise<boolean>;
  /** Milliseconds until it may begin; meanwhile the operation can still be undone. */
  waitMs?(context: OperationContext): Promise<number>;
  /** Once it begins there is no way back: nothing is undone any more, and what fails for good can only be retried. */
  readonly commits?: boolean;
  /**
   * What it answers is kept for later steps. No personal data, no secrets. A refusal (a `DomainError` below 500) and `GiveUp` (with its
   * cause) are final at once; anything else is tried again.
   */
  run(context: OperationContext): Promise<Facts | null>;
  undo?(context: OperationContext): Promise<void>;
}

/**
 * Long work on one tenant that goes step by step, each recorded on the stream `operation-<id>`: it goes on after a crash of any process;
 * a step that fails for good, a cancellation or a rollback undoes what was done, in reverse.
 */
export interface OperationType {
  readonly type: SteppedType;
  /** In the order of `operationSteps` of the contracts. */
  readonly steps: readonly OperationStep[];
  /** The step after which the work has had its effect: from there until a step that commits it is rolled back instead of cancelled. */
  readonly effectiveAfter?: string;
  /** Called before it is recorded that the work is over, at least once. */
  ended?(context: OperationContext, status: 'succeeded' | 'failed' | 'compensated' | 'cancelled'): Promise<void>;
}
