import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { ofPlatform, ofTenant } from '@tenantry/contracts/identity/event-subscriptions';
import type { identityEvents } from '@tenantry/contracts/identity/events';
import type { CommandContext, RouteAnswer } from '@tenantry/contracts/route';
import type { Decision } from '@tenantry/event-store/aggregate';
import { EventStore } from '@tenantry/event-store/port';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { ApiKeyTable } from '../api-key/api-key-table.js';
import { Broker } from './broker.js';
import { logOf, mayReadEvents } from './caller.js';
import {
  type EventSubscription,
  eventSubscription,
  existing,
  pause,
  replay,
  resume,
  revoke,
  rotate,
  streamOf,
} from './event-subscription.js';
import { untilSeen } from './event-subscriptions.projection.js';
import { Shown } from './shown.js';
import { startOf } from './start.js';
import { SubscriptionTable } from './subscription-table.js';

/** Which subscription, and the request that changes it. */
interface Change {
  tenantId: string;
  params: { subscriptionId: string };
  command: CommandContext;
}

@Controller()
export class ChangeEventSubscriptionRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly store: EventStore,
    private readonly table: SubscriptionTable,
    private readonly database: Database,
    private readonly broker: Broker,
    private readonly shown: Shown,
    private readonly keys: ApiKeyTable,
    private readonly clock: Clock,
  ) {}

  @Handles(ofPlatform.rotate)
  rotateOfPlatform(call: Call<typeof ofPlatform.rotate>): Promise<RouteAnswer<typeof ofPlatform.rotate>> {
    return this.rotate({ ...call, tenantId: '' });
  }
  @Handles(ofTenant.rotate)
  rotateOfTenant(call: Call<typeof ofTenant.rotate>): Promise<RouteAnswer<typeof ofTenant.rotate>> {
    return this.rotate(call);
  }
  @Handles(ofPlatform.pause)
  pauseOfPlatform(call: Call<typeof ofPlatform.pause>): Promise<RouteAnswer<typeof ofPlatform.pause>> {
    return this.change({ ...call, tenantId: '' }, pause(this.clock.now()));
  }
  @Handles(ofTenant.pause)
  pauseOfTenant(call: Call<typeof ofTenant.pause>): Promise<RouteAnswer<typeof ofTenant.pause>> {
    return this.change(call, pause(this.clock.now()));
  }
  @Handles(ofPlatform.resume)
  resumeOfPlatform(call: Call<typeof ofPlatform.resume>): Promise<RouteAnswer<typeof ofPlatform.resume>> {
    return this.change({ ...call, tenantId: '' }, resume(this.clock.now()));
  }
  @Handles(ofTenant.resume)
  resumeOfTenant(call: Call<typeof ofTenant.resume>): Promise<RouteAnswer<typeof ofTenant.resume>> {
    return this.change(call, resume(this.clock.now()));
  }
  @Handles(ofPlatform.replay)
  replayOfPlatform(call: Call<typeof ofPlatform.replay>): Promise<RouteAnswer<typeof ofPlatform.replay>> {
    return this.replay({ ...call, tenantId: '' });
  }
  @Handles(ofTenant.replay)
  replayOfTenant(call: Call<typeof ofTenant.replay>): Promise<RouteAnswer<typeof ofTenant.replay>> {
    return this.replay(call);
  }
  @Handles(ofPlatform.revoke)
  revokeOfPlatform(call: Call<typeof ofPlatform.revoke>): Promise<RouteAnswer<typeof ofPlatform.revoke>> {
    return this.revoke({ ...call, tenantId: '' });
  }
  @Handles(ofTenant.revoke)
  revokeOfTenant(call: Call<typeof ofTenant.revoke>): Promise<RouteAnswer<typeof ofTenant.revoke>> {
    return this.revoke(call);
  }

  private async rotate(change: Change): Promise<RouteAnswer<typeof ofPlatform.rotate>> {
    mayReadEvents(change.command.principal);
    const { provisioner } = this.broker;
    const { state, ...recorded } = await this.record(change, rotate(this.clock.now()));
    const { logId, subscriptionId } = this.at(change);
    const expiresAt = await this.keys.endOf(change.command.principal.id);
    const { of, issued, text } = await provisioner.issue(logId, subscriptionId, existing(state).credentials, expiresAt);
    return { status: 200, body: { ...(await this.shown.of(logId, of, issued)), credentials: text }, ...recorded, secret: true };
  }

  private async replay(change: Change & Pick<Call<typeof ofPlatform.replay>, 'body'>): Promise<RouteAnswer<typeof ofPlatform.replay>> {
    const { logId, subscriptionId } = this.at(change);
    const { state } = await this.log.load(eventSubscription, { tenant: logId, stream: streamOf(subscriptionId) });
    const now = this.clock.now();
    const start = await startOf(this.store, change.body.from, existing(state).tenants, now);
    return this.change(change, replay(start, now));
  }

  private async revoke(change: Change): Promise<RouteAnswer<typeof ofPlatform.revoke>> {
    const { body: _, ...answer } = await this.change(change, revoke('manual', this.clock.now()));
    return { ...answer, status: 204, body: undefined };
  }

  private async change(
    change: Change,
    decide: Decision<EventSubscription, typeof identityEvents>,
  ): Promise<RouteAnswer<typeof ofPlatform.pause>> {
    const { provisioner } = this.broker;
    const { state: _, ...recorded } = await this.record(change, decide);
    const { logId, subscriptionId } = this.at(change);
    const of = await provisioner.provision(logId, subscriptionId);
    const [issued] = await Promise.all([this.table.newest([subscriptionId]), untilSeen(this.database, subscriptionId, recorded.version)]);
    return { status: 200, body: await this.shown.of(logId, of, issued.get(subscriptionId)), ...recorded };
  }

  private async record({ tenantId, params, command }: Change, decide: Decision<EventSubscription, typeof identityEvents>) {
    const tenant = logOf(tenantId);
    const { state, version, position } = await this.log.transact(
      eventSubscription,
      { tenant, stream: streamOf(params.subscriptionId), command },
      decide,
    );
    if (state.status === 'none') throw new DomainError('event_subscription.not_found');
    return { state, version, position: { tenantId: tenant, position } };
  }

  private at({ tenantId, params }: Change): { logId: string; subscriptionId: string } {
    return { logId: logOf(tenantId), subscriptionId: params.subscriptionId };
  }
}
