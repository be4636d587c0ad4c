import { Injectable } from '@nestjs/common';
import { ComeBack } from '@tenantry/messaging/effects';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { AppSessions } from '@tenantry/tenancy/app-sessions';
import { type AppStep, appWork, changeApp } from '@tenantry/tenancy/blueprint-script';
import { appLedger, stepsBetween, stepsTo } from '@tenantry/tenancy/blueprints';
import { isControlPlane } from '@tenantry/tenancy/servers';
import { integer, sqlState } from '@tenantry/tenancy/sql';
import type { ClientBase } from 'pg';
import { type ItemOutcome, JobHandler, type JobItem, type NewItem, type RunningJob } from '../job/job-handler.js';
import { outcomeOf, quarantined } from './campaign-outcome.js';
import { type CampaignTarget, CampaignTargets } from './campaign-targets.js';
import { Sessions } from './sessions.js';

export interface CampaignParams {
  blueprint: string;
  toVersion: number;
  lockTimeoutMs: number;
}

/** Targets are looked up this many at a time. */
const WINDOW = 500;
const KEPT_WINDOWS = 4;
const KEPT_SCRIPTS = 50;
const STATEMENT_TIMEOUT_MS = 600_000;

/**
 * Takes one schema to the campaign's version: gate, ledger, SQL, row-level security and rights in one transaction in one message.
 * The ledger decides, so that a repeat after a crash finds its work done.
 */
@Injectable()
export class CampaignJob extends JobHandler<CampaignParams> {
  override readonly type = 'blueprint-campaign';
  /** By job and window of ordinals, oldest first. */
  private readonly windows = new Map<string, Promise<Map<number, CampaignTarget>>>();
  private readonly switchMs: number;
  private readonly steps = new Map<string, Promise<AppStep[]>>();

  constructor(
    private readonly targets: CampaignTargets,
    private readonly app: AppSessions,
    private readonly sessions: Sessions,
    private readonly database: Database,
    environment: Environment,
  ) {
    super();
    // The server ends a switch that takes longer; the rest is for a busy machine.
    this.switchMs = environment.values.TENANTRY_MOVE_PAUSE_MS + 1_000;
  }

  override async run(item: JobItem, { operationId, params }: RunningJob<CampaignParams>): Promise<ItemOutcome> {
    const known = item.attempt > 1 ? null : await this.window(params.blueprint, operationId, item.ordinal);
    // Another attempt looks again: the tenant may be somewhere else by now. So does an item that came later than the others.
    const target =
      known?.get(item.ordinal) ?? (await this.targets.ofItems(params.blueprint, operationId, item.ordinal, 1)).get(item.ordinal);
    if (!target) return { status: 'skipped', why: { code: 'placement.not_found', detail: 'The tenant has no place of its own any more.' } };
    if (!target.isKnown)
      return quarantined({ code: 'blueprint.target_differs', detail: `It has a version ${target.version} that is not the published one.` });
    return this.app.run(target, (client) => this.advance(client, target, target.version, params, item.attempt, 0));
  }

  /** Who left the shared tables before they were changed has what they were: it is taken forward by itself. */
  override async more({ operationId, params }: RunningJob<CampaignParams>): Promise<NewItem[]> {
    const { items, waitMs } = await this.targets.leavers(params.blueprint, operationId, params.toVersion, this.switchMs);
    if (items.length === 0 && waitMs > 0) throw new ComeBack(waitMs);
    return items;
  }

  private async advance(
    client: ClientBase,
    target: CampaignTarget,
    from: number,
    params: CampaignParams,
    attempt: number,
    corrections: number,
  ): Promise<ItemOutcome> {
    const { blueprint, toVersion, lockTimeoutMs } = params;
    const steps = from < toVersion ? await this.stepsOf(blueprint, from, toVersion) : [];
    if (steps.length === 0) return this.done(target, blueprint, await this.stepsOf(blueprint, toVersion - 1, toVersion));
    const work = appWork(target, steps);
    const generation = target.tenantId === null ? null : target.generation;
    try {
      await client.query(
        `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = ${integer(lockTimeoutMs)}; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS};
         ${changeApp(target, steps, work, from, generation)} COMMIT`,
      );
    } catch (error) {
      await client.query('ROLLBACK');
      if (sqlState(error) === 'TG004' && corrections < 2) {
        // It was done before the process died, or by somebody else.
        const found = await this.versionOf(target, blueprint);
        return this.advance(client, target, found, params, attempt, corrections + 1);
      }
      return outcomeOf(error, attempt, work.of);
    }
    return this.done(target, blueprint, steps);
  }

  private async done(target: CampaignTarget, blueprint: string, steps: readonly AppStep[]): Promise<ItemOutcome> {
    if (!isControlPlane(target)) await this.targets.copyLedger(target, blueprint, steps);
    return { status: 'succeeded' };
  }

  /** By the ledger of its database, which is not for the session that the SQL runs in. */
  private versionOf(target: CampaignTarget, blueprint: string): Promise<number> {
    const { appSchema } = target;
    return this.sessions.run(target, async (client) => {
      await client.query('BEGIN; SET LOCAL ROLE tenantry_owner');
      try {
        const found = await appLedger(client, [appSchema], blueprint);
        return found.get(appSchema)?.get(blueprint)?.version ?? 0;
      } finally {
        await client.query('COMMIT');
      }
    });
  }

  private window(blueprint: string, operationId: string, ordinal: number): Promise<Map<number, CampaignTarget>> {
    const index = Math.floor(ordinal / WINDOW);
    const load = (at: number) =>
      kept(this.windows, `${operationId} ${at}`, KEPT_WINDOWS, () => this.targets.ofItems(blueprint, operationId, at * WINDOW, WINDOW));
    // Where it fails, whoever needs it meets that.
    if (ordinal % WINDOW >= WINDOW / 2) load(index + 1).catch(() => undefined);
    return load(index);
  }

  private stepsOf(blueprint: string, from: number, to: number): Promise<AppStep[]> {
    const { pool } = this.database;
    const load = () => (from === 0 ? stepsTo(pool, blueprint, to) : stepsBetween(pool, blueprint, from, to));
    return kept(this.steps, `${blueprint} ${from} ${to}`, KEPT_SCRIPTS, load);
  }
}

/** What was loaded, once; the oldest goes, and a failure is not kept. */
function kept<V>(cache: Map<string, Promise<V>>, key: string, max: number, load: () => Promise<V>): Promise<V> {
  let known = cache.get(key);
  if (!known) {
    known = load();
    cache.set(key, known);
    known.catch(() => cache.delete(key));
    if (cache.size > max) cache.delete(cache.keys().next().value!);
  }
  return known;
}
