import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { evaluateFeature, listFeatures, putFeature, resetFeature } from '@tenantry/contracts/config/feature-routes';
import type { CommandContext, RouteAnswer } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Holding } from '../approval/holding.js';
import { type ClearChange, nothingChanged } from '../config/change.js';
import { config } from '../config/config.js';
import { ConfigChanges } from '../config/config-changes.js';
import { registered, tenant } from '../tenant/tenant.js';
import { featureOf, featuresOf, isOn } from './feature.js';

/** Folded from the log: current right after a change. */
@Controller()
export class FeaturesRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly changes: ConfigChanges,
    private readonly holding: Holding,
    private readonly clock: Clock,
  ) {}

  @Handles(listFeatures)
  async list({ tenantId }: Call<typeof listFeatures>): Reply<typeof listFeatures> {
    const { granted, set, asOf } = await this.load(tenantId);
    const items = featuresOf(granted, set.state, this.clock.now());
    return { status: 200, body: { items }, asOf, position: { tenantId, position: asOf } };
  }

  @Handles(evaluateFeature)
  async evaluate({ tenantId, params: { flag }, query }: Call<typeof evaluateFeature>): Reply<typeof evaluateFeature> {
    const { granted, set, asOf } = await this.load(tenantId);
    const feature = featureOf(granted, set.state, flag, this.clock.now());
    return {
      status: 200,
      body: { flag, enabled: isOn(feature, tenantId, query.subject ?? tenantId) },
      position: { tenantId, position: asOf },
    };
  }

  @Handles(putFeature)
  put({ tenantId, params: { flag }, body, command }: Call<typeof putFeature>): Reply<typeof putFeature> {
    const { enabled, percentage = 100, at = null } = body;
    return this.change(
      tenantId,
      flag,
      { ...nothingChanged, features: [{ flag, enabled, percentage, at: at && new Date(at).toISOString() }] },
      command,
    );
  }

  @Handles(resetFeature)
  reset({ tenantId, params: { flag }, command }: Call<typeof resetFeature>): Reply<typeof resetFeature> {
    return this.change(tenantId, flag, { ...nothingChanged, reset: [flag] }, command);
  }

  private async change(
    tenantId: string,
    flag: string,
    wanted: ClearChange,
    command: CommandContext,
  ): Promise<RouteAnswer<typeof putFeature>> {
    const planned = await this.changes.plan(tenantId, wanted);
    const hold = await this.holding.hold(tenantId, 'features', planned, command);
    if (hold.held) return hold.held;
    const { config: done } = await this.changes.make(tenantId, hold.cleared, command);
    if (!done) throw new Error('a change of a feature made nothing of the configuration');
    const owner = registered((await this.log.load(tenant, { tenant: tenantId })).state);
    const body = featureOf(owner, done.state, flag, this.clock.now());
    if (done.version < 0) return { status: 200, body };
    return { status: 200, body, version: done.version, position: { tenantId, position: done.position } };
  }

  private async load(tenantId: string) {
    const [owner, set] = await Promise.all([this.log.load(tenant, { tenant: tenantId }), this.log.load(config, { tenant: tenantId })]);
    return { granted: registered(owner.state), set, asOf: Math.max(owner.position, set.position) };
  }
}
