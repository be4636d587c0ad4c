import type { Actor } from '@tenantry/contracts/events';
import type { Failure } from '../operation/operation.js';

/** What an item of a new job is about. Items of a lower wave are over before those of the next begin; wave 0 is the canary where there is one. */
export interface NewItem {
  tenantId: string | null;
  target?: string;
  wave?: number;
}

export interface JobItem {
  ordinal: number;
  tenantId: string | null;
  target: string | null;
  wave: number;
  /** How often it was tried again after it had failed for good. */
  retries: number;
  /** This one counts. */
  attempt: number;
}

/** The job, as the handlers of its items see it. */
export interface RunningJob<P = unknown> {
  operationId: string;
  params: P;
  actor: Actor;
  traceparent?: string;
  /** The event that had it run. */
  causationId: string;
}

export type ItemOutcome = { status: 'succeeded' } | { status: 'skipped' | 'quarantined' | 'failed'; why: Failure };

/**
 * Does the items of one type of job. A provider of its feature's module; found by its class.
 * An item may be run again after it was done, when the process died before that was written down.
 */
export abstract class JobHandler<P = unknown> {
  abstract readonly type: string;
  /**
   * Throws a `DomainError` where the item has failed, `ComeBack` to be called again later (no failure, and the slot is free meanwhile);
   * what else it throws, and what says that a part of the system is away, is tried again with backoff before the item has failed.
   */
  abstract run(item: JobItem, job: RunningJob<P>, signal: AbortSignal): Promise<ItemOutcome>;

  /**
   * What has become the job's business while it was at work: asked for once all its items are over, until there is nothing any more. Their
   * wave is the last one's. Never anything that is among its items already. Throws `ComeBack` where that can't be said yet.
   */
  async more(_job: RunningJob<P>): Promise<NewItem[]> {
    return [];
  }
}
