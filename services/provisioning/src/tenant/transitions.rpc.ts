import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { ApprovalPending } from '@tenantry/contracts/config/approval-routes';
import { invalidField } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import type { Answer } from '@tenantry/contracts/route';
import type { ScheduledTransition, Tenant as TenantBody } from '@tenantry/contracts/tenant/bodies';
import {
  activateTenant,
  archiveTenant,
  reactivateTenant,
  restoreTenant,
  retryTenant,
  setTenantStatus,
  suspendTenant,
  undeleteTenant,
} from '@tenantry/contracts/tenant/lifecycle-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Holding } from '../approval/holding.js';
import { accepted } from './accepted.js';
import { whyOf, wouldChange } from './approved-transitions.js';
import { schedule, type TransitionCommand } from './scheduled-transitions.js';
import { living, registered, tenant } from './tenant.js';
import { TenantTransitions } from './tenant-transitions.js';
import { tenantView } from './tenant-view.js';
import { asReseller, toStatus, transitionTo } from './transitions.js';

type Asked = Pick<Call<typeof suspendTenant>, 'tenantId' | 'command'> & {
  /** With the reseller that asks, where one does: who it was has to be known once others have approved it. */
  body: Call<typeof suspendTenant>['body'] & { resellerId?: string };
};
const approvable = (name: TransitionCommand): Exclude<TransitionCommand, 'retry'> | null => (name === 'retry' ? null : name);
type Accepted = TenantBody & { operation: { id: string; url: string } };

/** The commands of a tenant's life, by their own names or as the status that is wanted; now, or scheduled. */
@Controller()
export class TransitionsRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly transitions: TenantTransitions,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
    private readonly holding: Holding,
  ) {}

  @Handles(activateTenant)
  activate(call: Call<typeof activateTenant>): Reply<typeof activateTenant> {
    return this.carryOut('activate', call);
  }
  @Handles(suspendTenant)
  suspend(call: Call<typeof suspendTenant>): Reply<typeof suspendTenant> {
    return this.carryOut('suspend', call);
  }
  @Handles(reactivateTenant)
  reactivate(call: Call<typeof reactivateTenant>): Reply<typeof reactivateTenant> {
    return this.carryOut('reactivate', call);
  }
  @Handles(archiveTenant)
  archive(call: Call<typeof archiveTenant>): Reply<typeof archiveTenant> {
    return this.carryOut('archive', call);
  }
  @Handles(restoreTenant)
  restore(call: Call<typeof restoreTenant>): Reply<typeof restoreTenant> {
    return this.carryOut('restore', call);
  }
  @Handles(undeleteTenant)
  undelete(call: Call<typeof undeleteTenant>): Reply<typeof undeleteTenant> {
    return this.carryOut('undelete', call);
  }
  @Handles(retryTenant)
  retry(call: Call<typeof retryTenant>): Reply<typeof retryTenant> {
    return this.carryOut('retry', call) as Reply<typeof retryTenant>; // it never leaves a tenant that is settled
  }

  @Handles(setTenantStatus)
  async set({ tenantId, params, body, command }: Call<typeof setTenantStatus>): Reply<typeof setTenantStatus> {
    const { status } = params;
    const reseller = command.principal.tenantId;
    if (reseller !== undefined && body.at !== undefined)
      throw invalidField('at', 'platform', 'must be left out: only the platform schedules transitions');
    if (body.at !== undefined) {
      // What leads there from where the tenant is now.
      const { state } = await this.log.load(tenant, { tenant: tenantId });
      const name = transitionTo(status, living(state));
      return (await this.held(name, { tenantId, body, command })) ?? this.schedule(name, body.at, { tenantId, body, command });
    }
    const why = whyOf(body);
    const decide = reseller !== undefined ? asReseller(reseller, status, why, this.clock.now()) : toStatus(status, why, this.clock.now());
    const { state: now } = await this.log.load(tenant, { tenant: tenantId });
    const asked = { tenantId, body: { ...body, resellerId: reseller }, command };
    const held = wouldChange(decide, now) ? await this.held(transitionTo(status, now), asked) : null;
    if (held) return held;
    const cleared = await this.holding.clearedDecision(decide, (state) => approvable(transitionTo(status, state)));
    const { state, version, position } = await this.log.transact(tenant, { tenant: tenantId, command }, cleared);
    const view = await tenantView(this.keyring, tenantId, registered(state), { version, position });
    return { status: 200, body: view, version, position: { tenantId, position } };
  }

  /** 202 where a provisioning begins, or goes on. */
  private async carryOut(
    name: TransitionCommand,
    asked: Asked,
  ): Promise<Answer<TenantBody | Accepted | ScheduledTransition | ApprovalPending>> {
    const { tenantId, body, command } = asked;
    const held = await this.held(name, asked);
    if (held) return held;
    if (body.at !== undefined) return this.schedule(name, body.at, asked);
    const decide = await this.transitions.decision(tenantId, name, whyOf(body), command.id);
    const cleared = await this.holding.clearedDecision(decide, () => approvable(name));
    const done = await this.log.transact(tenant, { tenant: tenantId, command }, cleared);
    const state = registered(done.state);
    if (state.status === 'pending' && !state.provisioned) return accepted(this.keyring, tenantId, state, done);
    const { version, position } = done;
    const view = await tenantView(this.keyring, tenantId, state, { version, position });
    return { status: 200, body: view, version, position: { tenantId, position } };
  }

  /** What a policy has others approve waits for them, unless it would be refused, or change nothing. */
  private async held(name: TransitionCommand, { tenantId, body, command }: Asked) {
    if (name === 'retry') return null;
    const { state, version } = await this.log.load(tenant, { tenant: tenantId });
    if (body.at === undefined && !wouldChange(await this.transitions.decision(tenantId, name, whyOf(body), command.id), state)) return null;
    return this.holding.holdCommand(tenantId, name, body, command, version);
  }

  private async schedule(name: TransitionCommand, at: string, { tenantId, body, command }: Asked): Promise<Answer<ScheduledTransition>> {
    const transitionId = derivedId('transition', command.id);
    const why = whyOf(body);
    const { position } = await this.log.transact(
      tenant,
      { tenant: tenantId, command },
      schedule({ transitionId, command: name, at, ...why }, this.clock.now()),
    );
    const scheduled = { id: transitionId, command: name, at: new Date(at).toISOString(), cause: why.cause, reason: why.reason ?? null };
    return { status: 202, body: scheduled, position: { tenantId, position } };
  }
}
