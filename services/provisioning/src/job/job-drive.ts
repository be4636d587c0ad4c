import type { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { Decision } from '@tenantry/event-store/aggregate';
import type { TenantLog } from '@tenantry/event-store/tenant-log';
import { ComeBack } from '@tenantry/messaging/effects';
import { runWith } from '@tenantry/observability/context';
import { faultPoint } from '@tenantry/observability/fault';
import type { Logger } from '@tenantry/observability/logger';
import { failure, isAway, retryAfterMs } from '../saga/backoff.js';
import { systemCommand } from '../saga/system-command.js';
import { end, goesOn, type Job, job, pause } from './job.js';
import type { JobHandler, RunningJob } from './job-handler.js';
import { type ClaimedItem, type ItemEnding, type JobRows, LEASE_MS, SUSPECT_FROM } from './job-rows.js';

export interface DriveParts {
  log: TenantLog;
  rows: JobRows;
  clock: Clock;
  logger: Logger;
  driver: string;
  paramsOf: (operationId: string) => Promise<unknown>;
  /** @throws where nobody does such jobs */
  handlerOf: (type: string) => JobHandler;
}

type Decide = Decision<Job, typeof job.events>;

/** How soon a pause or a cancellation is noticed, and the longest that an outcome waits to be written with others. */
const LOOK_MS = 250;
const LEASE_EVERY_MS = 5_000;
/** Waiting for an item that is not due for longer than this is left to the effect's own schedule. */
const WAIT_MS = 1_000;
const BATCH = 100;
/** As many items are claimed at a time as take about so long: each claim is a transaction. */
const CLAIM_MS = 500;
/** An item at which the process died so often is why: since the third time it was alone. */
const MAX_INTERRUPTIONS = 10;

/**
 * Works on one job until there is nothing to do for now: claims items in batches, runs as many at once as the job says, writes outcomes
 * in batches. What it knows besides is in the log and in the rows, so that any process can go on after a crash.
 */
export class JobDrive {
  private readonly running = new Set<ClaimedItem>();
  private queue: ClaimedItem[] = [];
  private endings: ItemEnding[] = [];
  private lookedMs = performance.now();
  private leasedMs = performance.now();
  /** Items that failed for good since it was last looked at how many have. */
  private uncounted = 0;
  private canaryOver = false;
  private hasLooked = false;
  /** What an item took of late, on average. */
  private itemMs: number | null = null;
  private wake = (): void => undefined;
  private readonly stop = new AbortController();
  /** That this driver works on; it ends with it. */
  private readonly round: number;

  private constructor(
    private readonly id: string,
    private readonly cause: { causationId: string; traceparent?: string },
    private known: { state: Job; version: number },
    private readonly parts: DriveParts,
  ) {
    this.round = known.state.round;
  }

  static async of(id: string, cause: { causationId: string; traceparent?: string }, parts: DriveParts): Promise<JobDrive> {
    return new JobDrive(id, cause, await load(parts.log, id), parts);
  }

  /** Nothing to do: it is over, or paused. */
  get idle(): boolean {
    const { requested, cancelled, ended } = this.known.state;
    return requested === null || ended !== null || (!cancelled && !goesOn(this.known.state));
  }

  /** The lease is held. @throws ComeBack where there is more to do, later */
  async run(signal: AbortSignal): Promise<void> {
    const { rows } = this.parts;
    const { requested, actor } = this.known.state;
    if (!requested || !actor) return;
    const handler = this.parts.handlerOf(requested.type);
    const running: RunningJob = {
      ...{ operationId: this.id, params: await this.parts.paramsOf(this.id), actor },
      ...this.cause,
    };
    await rows.reopen(this.id, this.round);
    const aborted = () => this.stop.abort(signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
    try {
      for (;;) {
        await this.look();
        if (!this.mayBegin()) break;
        // Before the last ones have begun: those that run are followed by others while this asks for more.
        if (this.queue.length < requested.concurrency) this.queue.push(...(await this.claim(requested.concurrency)));
        this.fill(handler, running);
        if (this.running.size > 0) await this.somethingHappens(LOOK_MS);
        else if (this.endings.length === 0 && (await this.nothingToClaim(handler, running))) break;
      }
      // What runs is ended, not dropped: a pause lets it finish, a shutdown has told it.
      while (this.running.size > 0) {
        await this.somethingHappens(LOOK_MS);
        await this.prolong();
      }
      await this.giveBack();
      await this.write();
      if (this.known.state.cancelled && !this.stop.signal.aborted) await this.close();
    } catch (error) {
      // Nobody may begin anew what still runs here.
      this.stop.abort(error);
      while (this.running.size > 0) await this.somethingHappens(LOOK_MS);
      throw error;
    } finally {
      signal.removeEventListener('abort', aborted);
    }
    if (this.stop.signal.aborted) throw new ComeBack(0);
  }

  /** Nothing that this knows of keeps items from beginning. Where it was retried meanwhile, who takes it up anew opens the failed items again. */
  private mayBegin(): boolean {
    return !this.stop.signal.aborted && goesOn(this.known.state) && this.known.state.round === this.round;
  }

  /** Also as soon as an item has ended, so that none waits for what this asks or writes meanwhile. */
  private fill(handler: JobHandler, running: RunningJob): void {
    const { concurrency = 0, stopAfterFailures = null } = this.known.state.requested ?? {};
    if (!this.mayBegin() || (stopAfterFailures !== null && this.uncounted > 0)) return;
    // What this asks for may take so long that the job is another's meanwhile.
    if (performance.now() - this.leasedMs >= LEASE_MS) return;
    while (this.running.size < concurrency && this.queue.length > 0) void this.begin(this.queue.shift() as ClaimedItem, handler, running);
  }

  /** Writes outcomes, and sees what was decided meanwhile. */
  private async look(): Promise<void> {
    const now = performance.now();
    await this.prolong();
    const mayStop = this.known.state.requested?.stopAfterFailures != null && this.uncounted > 0;
    if (!mayStop && this.endings.length < BATCH && this.running.size > 0 && now - this.lookedMs < LOOK_MS) return;
    this.lookedMs = now;
    // Who drove it before may have died between an outcome and the pause that followed from it.
    const failed = await this.write();
    const mustCount = failed > 0 || !this.hasLooked;
    this.hasLooked = true;
    this.known = await load(this.parts.log, this.id);
    const { requested, failedBefore } = this.known.state;
    const limit = requested?.stopAfterFailures ?? null;
    if (mustCount && limit !== null && goesOn(this.known.state)) {
      if ((await this.parts.rows.failed(this.id)) - failedBefore >= limit) await this.decide('pause', this.pauseFor('failures'));
    }
    this.uncounted -= failed;
  }

  private async prolong(): Promise<void> {
    if (performance.now() - this.leasedMs < LEASE_EVERY_MS) return;
    this.leasedMs = performance.now();
    if (!(await this.parts.rows.lease(this.id, this.parts.driver))) this.stop.abort(new Error('The job has another driver'));
  }

  private async claim(concurrency: number): Promise<ClaimedItem[]> {
    const { rows, driver } = this.parts;
    if ([...this.running].some(({ interruptions }) => interruptions >= SUSPECT_FROM)) return [];
    const few = 4 * concurrency;
    const most = this.itemMs === null ? few : Math.max(few, Math.floor((concurrency * CLAIM_MS) / Math.max(1, this.itemMs)));
    const claimed = await rows.claim(this.id, driver, Math.min(BATCH, most), !this.canaryIsOver());
    if (claimed.length > 0 || this.queue.length > 0 || this.running.size > 0) return claimed;
    return rows.claim(this.id, driver, 1, !this.canaryIsOver(), true);
  }

  private canaryIsOver = (): boolean =>
    this.canaryOver || this.known.state.pausedAfterCanary || this.known.state.requested?.afterCanary === 'go-on';

  /** Nothing runs and nothing could be claimed. @returns whether the driver is done for now */
  private async nothingToClaim(handler: JobHandler, running: RunningJob): Promise<boolean> {
    const { rows } = this.parts;
    const open = await rows.open(this.id);
    if (open.items === 0) {
      const more = await handler.more(running);
      if (more.length > 0) {
        if (!(await rows.extend(this.id, this.parts.driver, more))) this.stop.abort(new Error('The job has another driver'));
        return false;
      }
      await this.close();
      return true;
    }
    if (!this.canaryIsOver() && open.canary === 0) {
      const failed = await rows.failed(this.id, true);
      if (this.known.state.requested?.afterCanary === 'pause-if-failed' && failed === 0) this.canaryOver = true;
      else await this.decide('canary', this.pauseFor('canary'));
      return false;
    }
    if (open.inMs > WAIT_MS) throw new ComeBack(open.inMs);
    await this.somethingHappens(Math.max(100, open.inMs));
    return false;
  }

  private async begin(item: ClaimedItem, handler: JobHandler, running: RunningJob): Promise<void> {
    this.running.add(item);
    const begun = performance.now();
    const ending = await runWith({ tenantId: item.tenantId ?? undefined, traceparent: this.cause.traceparent }, () =>
      this.outcome(item, handler, running),
    );
    const tookMs = performance.now() - begun;
    this.itemMs = this.itemMs === null ? tookMs : 0.9 * this.itemMs + 0.1 * tookMs;
    this.endings.push({ ...ending, ordinal: item.ordinal, claims: item.claims, durationMs: Math.round(tookMs * 10) / 10 });
    if (hasFailed(ending)) this.uncounted += 1;
    this.running.delete(item);
    this.fill(handler, running);
    this.wake();
  }

  private async outcome(
    item: ClaimedItem,
    handler: JobHandler,
    running: RunningJob,
  ): Promise<Omit<ItemEnding, 'ordinal' | 'claims' | 'durationMs'>> {
    const { signal } = this.stop;
    const later = (delayMs: number, uncounted: boolean) => ({ status: 'pending' as const, error: null, delayMs, uncounted });
    if (item.interruptions >= MAX_INTERRUPTIONS)
      return {
        ...{ status: 'failed', delayMs: 0, uncounted: true },
        error: { code: 'operation.item_interrupted', detail: `The process ended ${MAX_INTERRUPTIONS} times before this one was done.` },
      };
    try {
      const outcome = await handler.run(item, running, signal);
      await faultPoint('item.done');
      return { status: outcome.status, error: outcome.status === 'succeeded' ? null : outcome.why, delayMs: 0, uncounted: false };
    } catch (error) {
      if (error instanceof ComeBack) return later(error.afterMs, true);
      if (signal.aborted) return later(0, true);
      const delayMs = error instanceof DomainError && !isAway(error) ? null : retryAfterMs(error, item.attempt, Math.random());
      const { logger } = this.parts;
      const seen = { operationId: this.id, tenantId: item.tenantId, target: item.target, attempt: item.attempt, delayMs };
      if (!(error instanceof DomainError)) logger.warn({ ...seen, err: error }, 'an item of a job failed');
      if (delayMs !== null) return { ...later(delayMs, false), error: failure(error) };
      return { status: 'failed', error: failure(error), delayMs: 0, uncounted: false };
    }
  }

  /** @returns how many of them failed for good */
  private async write(): Promise<number> {
    const endings = this.endings;
    if (endings.length === 0) return 0;
    this.endings = []; // those that come while this is written wait for the next time
    await this.parts.rows.settle(this.id, endings, this.round);
    await faultPoint('item.recorded');
    return endings.filter(hasFailed).length;
  }

  private async giveBack(): Promise<void> {
    const back = this.queue.map(({ ordinal, claims }) => ({
      ...{ ordinal, claims, durationMs: 0, error: null, delayMs: 0 },
      ...{ status: 'pending' as const, uncounted: true },
    }));
    this.queue = [];
    if (back.length > 0) await this.parts.rows.settle(this.id, back, this.round);
  }

  /** Nothing runs, and all outcomes are written. */
  private async close(): Promise<void> {
    const { rows, clock } = this.parts;
    if (this.known.state.cancelled)
      await rows.skipPending(this.id, { code: 'operation.cancelled', detail: 'The operation was cancelled before it came to this one.' });
    const { begun: _, ...counts } = await rows.counts(this.id);
    await this.decide('end', (state) => (state.round === this.round ? end(counts, clock.now())(state) : []));
  }

  private pauseFor =
    (cause: 'failures' | 'canary'): Decide =>
    (state) =>
      goesOn(state) ? pause(cause, undefined, this.parts.clock.now())(state) : [];

  /** The version makes it a command of its own each time that it comes to this, and the same one after a crash. */
  private async decide(name: string, decision: Decide): Promise<void> {
    const command = systemCommand(derivedId('command', this.id, name, this.known.version), { ...this.cause, correlationId: this.id });
    this.known = await this.parts.log.transact(job, { tenant: PLATFORM_LOG, stream: `operation-${this.id}`, command }, decision);
  }

  private somethingHappens(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const hasFailed = ({ status }: Pick<ItemEnding, 'status'>): boolean => status === 'failed' || status === 'quarantined';
const load = (log: TenantLog, id: string) => log.load(job, { tenant: PLATFORM_LOG, stream: `operation-${id}` });
