import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { systemCommand } from '../saga/system-command.js';
import type { ScheduledTransitionPayload } from './lifecycle.process.js';
import { runScheduled } from './scheduled-transitions.js';
import { tenant } from './tenant.js';
import { TenantTransitions } from './tenant-transitions.js';
import { comeBackAt } from './wait-until.js';

/** Does what was scheduled when its time has come; who scheduled it is who caused it. */
@Injectable()
export class RunTransition extends EffectHandler<ScheduledTransitionPayload> {
  override readonly effect = 'scheduled-transition';

  constructor(
    private readonly log: TenantLog,
    private readonly transitions: TenantTransitions,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run({ tenantId, causationId, payload: { transitionId, at } }: Effect<ScheduledTransitionPayload>): Promise<void> {
    const { state } = await this.log.load(tenant, { tenant: tenantId });
    const due = state.status === 'none' ? undefined : state.scheduled[transitionId];
    if (due === undefined) return; // done, or taken back
    comeBackAt(at, this.clock);
    const command = systemCommand(derivedId('command', 'transition', transitionId), { causationId });
    const reason = due.reason === undefined ? undefined : await this.keyring.reveal(tenantId, due.reason);
    const decide = await this.transitions.decision(tenantId, due.command, { cause: due.cause, reason }, command.id);
    await this.log.transact(tenant, { tenant: tenantId, command }, runScheduled(transitionId, decide, this.clock.now()));
  }
}
