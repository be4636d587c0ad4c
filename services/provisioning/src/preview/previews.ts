import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import { DomainError } from '@tenantry/contracts/errors';
import type { NewEvent, StoredEvent } from '@tenantry/contracts/events';
import { type Resource, resources } from '@tenantry/contracts/plans';
import { readStandings } from '@tenantry/contracts/quota/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import type { Preview, previewTenant } from '@tenantry/contracts/tenant/config-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { revealed } from '@tenantry/crypto/revealed';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Holding, impactOf } from '../approval/holding.js';
import { changeOf } from '../config/change.js';
import { type Config, followPlan, type Seen } from '../config/config.js';
import type { Planned } from '../config/config-changes.js';
import { planSettings } from '../config/initial-settings.js';
import { changesBetween } from '../history/changes.js';
import { documentOf } from '../history/document.js';
import { shown } from '../history/present.js';
import { Sensitive } from '../history/sensitive.js';
import { after, type Snapshot } from '../history/snapshot.js';
import { TenantHistory } from '../history/tenant-history.js';
import { type RegisteredTenant, registered } from '../tenant/tenant.js';
import { planImpacts, type Use } from './impacts.js';

/** What a planned change would come to: the events that it would append, folded, and what others would do about them. */
@Injectable()
export class Previews {
  constructor(
    private readonly history: TenantHistory,
    private readonly sensitive: Sensitive,
    private readonly holding: Holding,
    private readonly keyring: Keyring,
    private readonly rpc: RpcClient,
    private readonly clock: Clock,
  ) {}

  async of(
    tenantId: string,
    planned: Pick<Planned, 'tenantEvents' | 'configEvents'>,
    command: ApprovableCommand,
    permissions: string[],
  ): Promise<RouteAnswer<typeof previewTenant>> {
    const head = await this.history.head(tenantId);
    const before = await this.history.at(tenantId, { position: head }, head);
    const own = [...planned.tenantEvents, ...planned.configEvents].reduce(
      (snapshot, event) => this.with(snapshot, tenantId, event),
      before,
    );
    const [was, will] = [registered(before.tenant), registered(own.tenant)];
    const followed = was.plan.id === will.plan.id ? own : await this.followed(tenantId, own, will);
    const impacts = was.plan.id === will.plan.id ? [] : await this.impacts(tenantId, { was, will, before, followed });
    const demand = await this.holding.demand(changeOf(planned.tenantEvents, planned.configEvents), command);
    if (demand && planned.tenantEvents.length + planned.configEvents.length > 0) impacts.push(impactOf(demand));
    const reader = { permissions, sensitive: await this.sensitive.keysOf(tenantId) };
    const [changes = []] = await shown(this.keyring, tenantId, [changesBetween(documentOf(before), documentOf(followed))], reader);
    return { status: 200, body: { changes, impacts }, asOf: head, position: { tenantId, position: head } };
  }

  /** The snapshot with one event more, that nobody has appended. */
  private with(snapshot: Snapshot, tenantId: string, event: NewEvent): Snapshot {
    const common = { tenantId, position: snapshot.position + 1, streamVersion: snapshot.tenantVersion, recordedAt: this.clock.now() };
    return after(snapshot, { ...event, ...common, metadata: { commandId: '', actor: { kind: 'service', id: 'preview' } } } as StoredEvent);
  }

  /** Limits, price and the settings that nobody chose follow the plan, as their owners would have them follow. */
  private async followed(tenantId: string, snapshot: Snapshot, { plan, settings }: RegisteredTenant): Promise<Snapshot> {
    const atCreation = new Set(settings.map(({ key }) => key));
    const wanted = planSettings(plan).filter(({ key }) => !atCreation.has(key));
    const events = followPlan(
      wanted,
      await this.seen(
        tenantId,
        snapshot.config,
        wanted.map(({ key }) => key),
      ),
    )(snapshot.config);
    const next = events.reduce((current: Snapshot, event) => this.with(current, tenantId, event), snapshot);
    const quotas = Object.entries(next.quotas).map(([resource, quota]) => [
      resource,
      quota.source === 'override' ? quota : { ...quota, limit: plan.limits[resource] ?? null },
    ]);
    return {
      ...next,
      quotas: Object.fromEntries(quotas),
      retentionDays: next.retentionDays === null ? null : plan.retentionDays,
      subscription: next.subscription && {
        ...next.subscription,
        plan: { id: plan.id, version: plan.version },
        priceMinor: plan.priceMinor,
        currency: plan.currency,
      },
    };
  }

  private async seen(tenantId: string, { settings }: Config, keys: readonly string[]): Promise<Record<string, Seen>> {
    const found = keys.flatMap((key) => (Object.hasOwn(settings, key) ? [settings[key] as Seen['stored']] : []));
    const values = (await revealed<unknown>(
      this.keyring,
      tenantId,
      found.map(({ value }) => value),
    )) as string[];
    return Object.fromEntries(found.map((stored, index) => [stored.key, { stored, value: values[index] as string }]));
  }

  private async impacts(
    tenantId: string,
    { was, will, before, followed }: { was: RegisteredTenant; will: RegisteredTenant; before: Snapshot; followed: Snapshot },
  ): Promise<Preview['impacts']> {
    const used = await this.used(tenantId);
    const uses = Object.entries(followed.quotas).map(
      ([resource, { limit: to }]): Use => ({
        resource,
        unit: resources[resource as Resource]?.unit ?? 'count',
        used: used.get(resource) ?? 0,
        from: before.quotas[resource]?.limit ?? null,
        to,
      }),
    );
    const kept = Object.fromEntries(Object.entries(followed.config.features).map(([flag, { enabled }]) => [flag, enabled]));
    return planImpacts(was.plan, will.plan, kept, uses);
  }

  /** By resource. A tenant without quotas yet has used nothing. */
  private async used(tenantId: string): Promise<Map<string, number>> {
    try {
      const { items } = await this.rpc.call(readStandings, { tenantId });
      return new Map(items.map(({ resource, used }) => [resource, used]));
    } catch (error) {
      if (error instanceof DomainError && error.code === 'tenant.not_ready') return new Map();
      throw error;
    }
  }
}
