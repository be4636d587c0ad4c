import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { MoveBody } from '@tenantry/contracts/tenant/routes';
import type { z } from 'zod';
import { itemCommand } from '../job/item-command.js';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';
import { Operations } from '../operation/operations.js';
import { Moves } from '../placement/moves.js';

type Where = z.infer<typeof MoveBody>;
const LOOK_EVERY_MS = 500;

/** Each tenant's move is an operation of its own; the item lasts as long as it, so that only so many go on at once. */
@Injectable()
export class MoveTenants extends JobHandler<Where> {
  readonly type = 'bulk.move';

  constructor(
    private readonly moves: Moves,
    private readonly operations: Operations,
  ) {
    super();
  }

  override async run(item: JobItem, job: RunningJob<Where>, signal: AbortSignal): Promise<ItemOutcome> {
    const operationId = await this.moves.begin(item.tenantId as string, job.params, itemCommand(job, item)).catch(thereAlready);
    if (operationId === null)
      return { status: 'skipped', why: { code: 'placement.already_there', detail: 'The tenant lives there already.' } };
    for (;;) {
      const { view } = await this.operations.view(operationId);
      if (view.status === 'succeeded') return { status: 'succeeded' };
      if (view.finishedAt !== null) return { status: 'failed', why: failureOf(view) };
      await sleep(LOOK_EVERY_MS, undefined, { signal });
    }
  }
}

function thereAlready(error: unknown): null {
  if (error instanceof DomainError && error.errors.some(({ rule }) => rule === 'elsewhere')) return null;
  throw error;
}

const failureOf = ({ id, status, error }: { id: string; status: string; error: { code: string; detail: string } | null }) => ({
  code: error?.code ?? 'operation.items_failed',
  detail: `The move ${id} is ${status}${error ? `: ${error.detail}` : ''}`,
});
