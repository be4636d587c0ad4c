import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { ComeBack } from '@tenantry/messaging/effects';
import { Database } from '@tenantry/service/database';
import { type AppStep, appScript } from '@tenantry/tenancy/blueprint-script';
import { appLedger, stepsBetween, stepsTo } from '@tenantry/tenancy/blueprints';
import { integer, sqlState, uuidLiteral } from '@tenantry/tenancy/sql';
import type { ClientBase } from 'pg';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';
import type { Failure } from '../operation/operation.js';
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
const LOCK_ATTEMPTS = 6;
const STATEMENT_TIMEOUT_MS = 600_000;
const gateClosedMs = 1_000;

/**
 * Takes one schema to the campaign's version: gate, ledger, SQL, row-level security and rights in one transaction in one message.
 * The ledger decides, so that a repeat after a crash finds its work done.
 */
@Injectable()
export class CampaignJob extends JobHandler<CampaignParams> {
  override readonly type = 'blueprint-campaign';
  /** By job and window of ordinals, oldest first. */
  private readonly windows = new Map<string, Promise<Map<number, CampaignTarget>>>();
  private readonly steps = new Map<string, Promise<AppStep[]>>();

  constructor(
    private readonly targets: CampaignTargets,
    private readonly sessions: Sessions,
    private readonly database: Database,
  ) {
    super();
  }

  override async run(item: JobItem, { operationId, params }: RunningJob<CampaignParams>): Promise<ItemOutcome> {
    // Another attempt looks again: the tenant may be somewhere else by now.
    const target = await (item.attempt > 1
      ? this.targets.ofItems(params.blueprint, operationId, item.ordinal, 1)
      : this.window(params.blueprint, operationId, Math.floor(item.ordinal / WINDOW))
    ).then((found) => found.get(item.ordinal));
    if (!target) return { status: 'skipped', why: { code: 'placement.not_found', detail: 'The tenant has no place of its own any more.' } };
    if (!target.isKnown)
      return quarantined({ code: 'blueprint.target_differs', detail: `It has a version ${target.version} that is not the published one.` });
    return this.sessions.run(target, (client) => this.advance(client, target, target.version, params, item.attempt, 0));
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
    const enter =
      target.tenantId === null ? '' : `SELECT tenancy.enter_tenant(${uuidLiteral(target.tenantId)}, ${integer(target.generation)});`;
    try {
      await client.query(
        `BEGIN; SET LOCAL lock_timeout = ${integer(lockTimeoutMs)}; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS};
         ${this.sessions.isControlPlane(target) ? '' : 'SET LOCAL ROLE tenantry_owner;'} ${enter}
         ${appScript(target, steps, from)} COMMIT`,
      );
    } catch (error) {
      await client.query('ROLLBACK');
      if (sqlState(error) === 'TG004' && corrections < 2) {
        // It was done before the process died, or by somebody else.
        const found = await this.versionOf(client, target, blueprint);
        return this.advance(client, target, found, params, attempt, corrections + 1);
      }
      return outcomeOf(error, attempt);
    }
    return this.done(target, blueprint, steps);
  }

  private async done(target: CampaignTarget, blueprint: string, steps: readonly AppStep[]): Promise<ItemOutcome> {
    if (!this.sessions.isControlPlane(target)) await this.targets.copyLedger(target.appSchema, blueprint, steps);
    return { status: 'succeeded' };
  }

  private async versionOf(client: ClientBase, { appSchema }: CampaignTarget, blueprint: string): Promise<number> {
    await client.query('BEGIN; SET LOCAL ROLE tenantry_owner');
    try {
      const found = await appLedger(client, [appSchema], blueprint);
      return found.get(appSchema)?.get(blueprint)?.version ?? 0;
    } finally {
      await client.query('COMMIT');
    }
  }

  private window(blueprint: string, operationId: string, index: number): Promise<Map<number, CampaignTarget>> {
    const load = () => this.targets.ofItems(blueprint, operationId, index * WINDOW, WINDOW);
    return kept(this.windows, `${operationId} ${index}`, KEPT_WINDOWS, load);
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

const quarantined = (why: Failure): ItemOutcome => ({ status: 'quarantined', why });

/** @throws what another attempt may cure */
export function outcomeOf(error: unknown, attempt: number): ItemOutcome {
  const state = sqlState(error) ?? '';
  if (state === 'TG001') throw new ComeBack(gateClosedMs);
  if (['55P03', '40P01', '57014'].includes(state)) {
    if (attempt < LOCK_ATTEMPTS) throw error;
    throw new DomainError('blueprint.target_locked', {
      detail: `Another transaction held a lock on its tables for longer than lockTimeoutMs, ${LOCK_ATTEMPTS} times; retry the operation when it is over.`,
    });
  }
  // Connections, resources, the gate's other refusals, internal errors: nothing that the tables are to blame for.
  if (!/^(0A|2[0-9A-Z]|3[0-9A-Z]|42|44|P0)/.test(state)) throw error;
  return quarantined({ code: 'blueprint.sql_failed', detail: reasonOf(error, state) });
}

/** Names, never values: those of rows can be in the messages of data exceptions. */
function reasonOf(error: unknown, state: string): string {
  const { message, table, constraint, column } = error as { message: string; table?: string; constraint?: string; column?: string };
  if (/^(0A|42|3)/.test(state)) return `${message} (${state})`;
  const names = Object.entries({ table, constraint, column }).flatMap(([what, name]) => (name ? [`${what} ${name}`] : []));
  return `SQLSTATE ${state}${names.length > 0 ? `: ${names.join(', ')}` : ''}; the rows that are there don’t allow it.`;
}
