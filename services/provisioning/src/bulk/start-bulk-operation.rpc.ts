import { Controller } from '@nestjs/common';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import { canonicalPlan } from '@tenantry/contracts/plans';
import { type BulkBody, type BulkSettings, bulkPermissions, startBulkOperation } from '@tenantry/contracts/platform/bulk';
import { overLimits } from '@tenantry/contracts/quota/limit-routes';
import { type Limits, limitsInUnits } from '@tenantry/contracts/quota/limits';
import { Handles } from '@tenantry/messaging/handles';
import { type Call, type Reply, RpcClient } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { invalid } from '@tenantry/service/validation';
import type { z } from 'zod';
import { Blueprints } from '../blueprint/blueprints.js';
import type { CampaignParams } from '../blueprint/campaign.job.js';
import { CampaignTargets } from '../blueprint/campaign-targets.js';
import { config } from '../config/config.js';
import { configChangeOf, unknownConfig } from '../config/config-input.js';
import { jobId } from '../job/job.js';
import { Jobs } from '../job/jobs.js';
import { settingsPermissions } from '../operation/operation-permissions.js';
import { Operations } from '../operation/operations.js';
import { refuseUnknownPlace } from '../placement/wanted.js';
import { Plans } from '../plan/plans.js';
import { Databases } from '../server/databases.js';
import { TenantSelection } from '../tenant/tenant-selection.js';
import { configPart, settingsWaves } from './settings.job.js';

const DEFAULT_CONCURRENCY = 8;
/** A move copies, a migration locks: several of them at once take the disk from everybody else. */
const FEW_AT_ONCE = 2;
const LOCK_TIMEOUT_MS = 1_500;
const IDS_AT_ONCE = 5_000;
const SAMPLE = 10;
type OverLimit = z.infer<typeof overLimits.output>;

/** Which tenants it is about is settled here, once: who joins later is not among them. */
@Controller()
export class StartBulkOperationRpc {
  constructor(
    private readonly selection: TenantSelection,
    private readonly plans: Plans,
    private readonly databases: Databases,
    private readonly jobs: Jobs,
    private readonly operations: Operations,
    private readonly blueprints: Blueprints,
    private readonly campaigns: CampaignTargets,
    private readonly rpc: RpcClient,
  ) {}

  @Handles(startBulkOperation)
  async handle({ body, command }: Call<typeof startBulkOperation>): Reply<typeof startBulkOperation> {
    const { action, tenantIds, filter = {}, dryRun, expected, stopAfterFailures } = body;
    const concurrency = body.concurrency ?? (action === 'move' || action === 'migrate' ? FEW_AT_ONCE : DEFAULT_CONCURRENCY);
    const needed = [bulkPermissions[action], ...(body.action === 'settings' ? settingsPermissions(body.params) : [])];
    const permission = needed.find((one) => !permits(command.principal.permissions, one));
    if (permission)
      throw new DomainError('auth.forbidden', {
        detail: `The permission ${permission} is needed to do this to a tenant`,
        extensions: { permission },
      });
    const params = await this.params(body, jobId(command.id));
    const selected = tenantIds ? await this.selection.named(tenantIds) : await this.selection.matching(filter);
    const matched = selected.tenantIds.length;
    if (dryRun) {
      const sample = await this.selection.sample(selected.tenantIds);
      const overLimit = body.action === 'limits' ? await this.overLimit(selected.tenantIds, params as Limits) : undefined;
      return { status: 200, body: { action, matched, sample, unknown: selected.unknown, overLimit } };
    }
    // A repeat finds its job: what that job has done since may have changed how many would match now.
    const hasBegun = await this.jobs.has(command);
    if (!hasBegun && expected !== undefined && expected !== matched)
      throw new DomainError('bulk.count_differs', {
        detail: `It would be ${matched} tenants, not ${expected}: look at them with dryRun, then ask again.`,
        errors: [{ field: 'expected', rule: 'count', message: `must be ${matched}` }],
        extensions: { matched },
      });
    // Who named a tenant that isn't there sees it among the failed ones.
    const items = [...selected.tenantIds, ...selected.unknown].map((tenantId) => ({ tenantId }));
    const waves = body.action === 'settings' && !hasBegun ? settingsWaves(body.params, items) : { items };
    const id = await this.jobs.start({ type: `bulk.${action}`, params, ...waves, concurrency, stopAfterFailures }, command);
    const accepted = await this.operations.accepted(id);
    const total = accepted.body.counts?.total ?? items.length;
    return { ...accepted, body: { ...accepted.body, operation: { id, url: accepted.location }, matched: total } };
  }

  /** One message doesn't hold the ids of any number of tenants. */
  private async overLimit(tenantIds: readonly string[], limits: Limits): Promise<OverLimit> {
    const over: OverLimit = { tenants: 0, sample: [] };
    for (let next = 0; next < tenantIds.length; next += IDS_AT_ONCE) {
      const found = await this.rpc.call(overLimits, { tenantIds: tenantIds.slice(next, next + IDS_AT_ONCE), limits });
      over.tenants += found.tenants;
      over.sample.push(...found.sample.slice(0, SAMPLE - over.sample.length));
    }
    return over;
  }

  /** What every tenant gets is settled once: all of them the same version of a plan. @throws DomainError `plan.not_found` */
  private async params(body: BulkBody, operationId: string): Promise<unknown> {
    if (body.action === 'settings') refuseFaults(body.params);
    if (body.action === 'move') refuseUnknownPlace(body.params, null, await this.databases.rooms(), 'params.');
    if (body.action === 'limits') return limitsInUnits('params.limits', body.params.limits);
    if (body.action === 'migrate') return this.migration(body, operationId);
    if (body.action !== 'plan') return body.params ?? {};
    const { plan } = body.params;
    return typeof plan === 'string'
      ? await this.plans.current(canonicalPlan(plan), 'params.plan')
      : await this.plans.current(canonicalPlan(plan.id), 'params.plan.id');
  }

  /** Null for the control plane's own tables alone. @throws DomainError as a campaign of the blueprint */
  private async migration(
    { params, dryRun }: Extract<BulkBody, { action: 'migrate' }>,
    operationId: string,
  ): Promise<CampaignParams | null> {
    const { blueprint, toVersion, lockTimeoutMs = LOCK_TIMEOUT_MS } = params ?? {};
    if (blueprint === undefined && toVersion !== undefined)
      throw invalidField('params.blueprint', 'required', 'must name the blueprint that toVersion is of');
    if (blueprint === undefined) return null;
    const { status, latestVersion } = await this.blueprints.find(blueprint);
    if (status !== 'active') throw invalidField('params.blueprint', 'active', 'must be an active blueprint');
    const version = toVersion ?? latestVersion;
    if (version === null) throw new DomainError('blueprint.version_not_found');
    await this.blueprints.findVersion(blueprint, version);
    const other = await this.campaigns.running(blueprint, operationId);
    if (other !== null && !dryRun)
      throw new DomainError('blueprint.campaign_running', { detail: `Wait for the operation ${other}, or cancel it.` });
    if (!dryRun) await this.campaigns.note(blueprint, operationId);
    return { blueprint, toVersion: version, lockTimeoutMs };
  }
}

/** What no tenant could be given is refused here, not tenant by tenant. @throws DomainError `request.invalid` with every fault */
function refuseFaults(params: BulkSettings): void {
  try {
    configChangeOf(configPart(params), unknownConfig, config.initial);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    throw invalid(error.errors.map((fault) => ({ ...fault, field: `params.${fault.field}` })));
  }
}
