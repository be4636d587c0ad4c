import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { configEvents } from '@tenantry/contracts/config/events';
import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import { derivedId } from '@tenantry/contracts/ids';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import { Keyring } from '@tenantry/crypto/keyring';
import { revealed } from '@tenantry/crypto/revealed';
import type { Decision } from '@tenantry/event-store/aggregate';
import { type Target, TenantLog, type Transacted } from '@tenantry/event-store/tenant-log';
import { Plans } from '../plan/plans.js';
import { changePlan, registered, type Tenant, tenant, together, update } from '../tenant/tenant.js';
import { type ClearChange, changeAll, keysOf } from './change.js';
import { type Config, config, type Seen } from './config.js';

type Command = Target['command'];
type TenantSet = typeof tenantEvents;
type ConfigSet = typeof configEvents;

/** A change and what it was planned on: nothing is made yet. A part that the change doesn't have is null. */
export interface Planned {
  ofTenant: { decide: Decision<Tenant, TenantSet>; before: Loaded<Tenant> } | null;
  ofConfig: { decide: Decision<Config, ConfigSet>; before: Loaded<Config> } | null;
  /** What it comes to as things stand; empty where all is so already. */
  tenantEvents: EventOf<TenantSet>[];
  configEvents: EventOf<ConfigSet>[];
}
interface Loaded<State> {
  state: State;
  version: number;
  position: number;
}
export interface Made {
  tenant: Transacted<Tenant, TenantSet> | null;
  config: Transacted<Config, ConfigSet> | null;
}

/** Changes of settings, feature flags and the tenant's own fields: looked at, and made. */
@Injectable()
export class ConfigChanges {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly plans: Plans,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError `tenant.not_found`, `plan.not_found`, and those of the decisions: a change that can't be made is refused here */
  async plan(tenantId: string, change: ClearChange, planField = 'plan'): Promise<Planned> {
    const [owner, before] = await Promise.all([this.log.load(tenant, { tenant: tenantId }), this.log.load(config, { tenant: tenantId })]);
    registered(owner.state);
    const { plan: planId, ...fields } = change.tenant;
    const now = this.clock.now();
    const plan = planId === undefined ? null : await this.plans.of({ id: planId, version: change.planVersion }, planField);
    const named = keysOf(change).length + change.features.length + change.reset.length > 0;
    const ofTenant = together(update(fields, await this.contacts(tenantId, owner.state)), ...(plan ? [changePlan(plan, now)] : []));
    const ofConfig = changeAll(change, await this.seen(tenantId, before.state, keysOf(change)), now);
    return {
      ofTenant: Object.keys(change.tenant).length > 0 ? { decide: ofTenant, before: owner } : null,
      ofConfig: named ? { decide: ofConfig, before } : null,
      tenantEvents: ofTenant(owner.state),
      configEvents: named ? ofConfig(before.state) : [],
    };
  }

  /**
   * Part by part, the tenant's own first. A process that dies in between leaves the first part made: the request that is repeated, and
   * the effect of an approval, make the other one.
   * @throws DomainError of the decisions; `precondition.failed`
   */
  async make(tenantId: string, { ofTenant, ofConfig }: Planned, command: Command): Promise<Made> {
    const first = ofTenant && ofConfig ? { ...command, id: derivedId(command.id, 'tenant') } : command;
    const made: Made = { tenant: null, config: null };
    if (ofTenant) made.tenant = await this.log.transact(tenant, { tenant: tenantId, command: first }, ofTenant.decide, ofTenant.before);
    if (ofConfig) made.config = await this.log.transact(config, { tenant: tenantId, command }, ofConfig.decide, ofConfig.before);
    return made;
  }

  /** In clear: what is stored can't be compared. */
  private async contacts(tenantId: string, state: Tenant) {
    const { adminEmail, billingEmail, contactPhone } = registered(state);
    return (await revealed<unknown>(this.keyring, tenantId, { adminEmail, billingEmail, contactPhone })) as Partial<Record<string, string>>;
  }

  private async seen(tenantId: string, { settings }: Config, keys: readonly string[]): Promise<Map<string, Seen>> {
    const found = keys.flatMap((key) => (Object.hasOwn(settings, key) ? [settings[key] as Seen['stored']] : []));
    const values = await revealed<unknown>(
      this.keyring,
      tenantId,
      found.map(({ value }) => value),
    );
    return new Map(
      found.map((stored, index) => {
        const value = (values as (string | null)[])[index];
        if (value == null) throw new DomainError('keys.destroyed');
        return [stored.key, { stored, value }];
      }),
    );
  }
}
