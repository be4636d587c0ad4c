import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { OperationItem } from '@tenantry/contracts/platform/consumers';
import type { afterCanary } from '@tenantry/contracts/platform/events';
import type { CommandContext } from '@tenantry/contracts/route';
import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { Keyring } from '@tenantry/crypto/keyring';
import type { Decision } from '@tenantry/event-store/aggregate';
import { type SystemCommand, TenantLog } from '@tenantry/event-store/tenant-log';
import { OperationIndex } from '../operation/operation-index.js';
import {
  type ItemsPage,
  JOB,
  type OperationAddress,
  type OperationKind,
  OperationKinds,
  type ShownOperation,
} from '../operation/operation-kinds.js';
import { itemsFailed, pausedByFailures } from './items-failed.js';
import { cancel, type Job, job, jobId, pause, request, resume, retryFailed } from './job.js';
import type { NewItem } from './job-handler.js';
import { JobRows, rowsKeptDays } from './job-rows.js';

export interface NewJob {
  /** Which handler does it. */
  type: string;
  /** For the handler. Stored encrypted: it may hold what people typed in. */
  params: unknown;
  items: readonly NewItem[];
  concurrency: number;
  stopAfterFailures?: number;
  afterCanary?: (typeof afterCanary)[number];
}
type Command = CommandContext | SystemCommand;

/** Work over many tenants, as an operation. The command decides its id: a repeat finds the same job, with the items of the first time. */
@Injectable()
export class Jobs implements OperationKind {
  constructor(
    private readonly log: TenantLog,
    private readonly rows: JobRows,
    private readonly index: OperationIndex,
    private readonly clock: Clock,
    private readonly keyring: Keyring,
    kinds: OperationKinds,
  ) {
    kinds.add(JOB, this);
  }

  /** @returns the operation's id */
  async start({ type, params, items, ...how }: NewJob, command: Command): Promise<string> {
    const operationId = jobId(command.id);
    // Rows first: without the event nobody works on them.
    await this.index.add(operationId, PLATFORM_LOG, JOB);
    const sealed = await this.keyring.encrypt(PLATFORM_LOG, 'jobs', JSON.stringify(params ?? null));
    const total = await this.rows.add(operationId, type, sealed, items);
    const { concurrency, stopAfterFailures = null } = how;
    const afterCanary = items.some(({ wave = 0 }) => wave === 0) ? (how.afterCanary ?? 'go-on') : 'go-on';
    await this.decide(operationId, command, request({ operationId, type, total, concurrency, stopAfterFailures, afterCanary }));
    return operationId;
  }

  /** Whether the command has started its job already. */
  async has(command: Pick<Command, 'id'>): Promise<boolean> {
    const { state } = await this.log.load(job, { tenant: PLATFORM_LOG, stream: `operation-${jobId(command.id)}` });
    return state.requested !== null;
  }

  async typeOf({ id }: OperationAddress): Promise<string> {
    const { state } = await this.log.load(job, { tenant: PLATFORM_LOG, stream: `operation-${id}` });
    if (!state.requested) throw new DomainError('operation.not_found');
    return state.requested.type;
  }

  async startedWith({ id }: OperationAddress): Promise<unknown> {
    return (await this.rows.exist(id)) ? this.params(id) : null;
  }

  /** What `start` was given, for the handlers. */
  async params(id: string): Promise<unknown> {
    return JSON.parse(await this.keyring.reveal<string>(PLATFORM_LOG, await this.rows.params(id)));
  }

  async pause({ id }: OperationAddress, reason: string | undefined, command: Command): Promise<void> {
    await this.decide(id, command, pause('manual', reason, this.clock.now()));
  }
  async resume({ id }: OperationAddress, reason: string | undefined, command: Command): Promise<void> {
    await this.decide(id, command, resume(await this.rows.failed(id), reason, this.clock.now()));
  }
  async cancel({ id }: OperationAddress, reason: string | undefined, command: Command): Promise<void> {
    await this.decide(id, command, cancel(reason, this.clock.now()));
  }
  async retry({ id }: OperationAddress, reason: string | undefined, command: Command): Promise<string> {
    if (!(await this.rows.exist(id)))
      throw new DomainError('operation.not_retriable', {
        detail: `Its items were removed ${rowsKeptDays} days after it began; ask for it again.`,
      });
    await this.decide(id, command, retryFailed(reason, this.clock.now()));
    return id;
  }

  /** @throws DomainError `operation.not_found` */
  async view({ id }: Pick<OperationAddress, 'id'>): Promise<ShownOperation> {
    const { state, position } = await this.log.load(job, { tenant: PLATFORM_LOG, stream: `operation-${id}` });
    const { requested, requestedAt, ended } = state;
    if (!requested || !requestedAt) throw new DomainError('operation.not_found');
    const { begun, ...counts } = ended ? { begun: true, ...ended.counts } : await this.rows.counts(id);
    return {
      view: {
        ...{ id, type: requested.type, tenantId: null, steps: [], counts },
        status: ended?.outcome ?? (state.paused && !state.cancelled ? 'paused' : begun ? 'running' : 'pending'),
        error: why(state, await this.reason(state)),
        createdAt: requestedAt,
        finishedAt: ended?.endedAt ?? null,
      },
      position: { tenantId: PLATFORM_LOG, position },
    };
  }

  /** @throws DomainError `request.invalid` for a cursor that was never given */
  async items(
    { id }: OperationAddress,
    { cursor, limit, status }: ItemsPage,
  ): Promise<{ items: OperationItem[]; nextCursor: string | null }> {
    if (cursor !== undefined && !/^\d{1,9}$/.test(cursor))
      throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
    const found = await this.rows.page(id, cursor === undefined ? -1 : Number(cursor), limit + 1, status);
    const shown = found.slice(0, limit);
    const last = found.length > limit ? shown.at(-1) : undefined;
    return { items: shown.map(({ ordinal: _, ...item }) => item), nextCursor: last ? String(last.ordinal) : null };
  }

  /** What was typed when it was cancelled, or else paused, in clear. */
  private async reason({ cancelled, paused }: Job): Promise<string | null> {
    const reason = (cancelled ?? paused)?.reason ?? null;
    return reason === null ? null : this.keyring.reveal(PLATFORM_LOG, reason);
  }

  private decide(id: string, command: Command, decision: Decision<Job, typeof job.events>) {
    return this.log.transact(job, { tenant: PLATFORM_LOG, stream: `operation-${id}`, command }, decision);
  }
}

function why({ paused, cancelled, ended }: Job, reason: string | null): OperationView['error'] {
  if (cancelled) return { code: 'operation.cancelled', detail: reason ?? 'cancelled on request' };
  if (ended) return ended.counts.failed > 0 ? itemsFailed(ended.counts.failed, 'items') : null;
  if (paused && reason !== null) return { code: 'operation.paused', detail: reason };
  return paused?.cause === 'failures' ? pausedByFailures : null;
}
