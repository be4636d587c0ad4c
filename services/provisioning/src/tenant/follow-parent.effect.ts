import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { systemCommand } from '../saga/system-command.js';
import { followParent } from './family.js';
import { Resellers } from './resellers.js';
import { tenant } from './tenant.js';

const AT_ONCE = 20;

/**
 * Brings the children of a tenant, if it has any, to where its present standing puts them. It goes by what the log says now, not by the event
 * that woke it, and looks again afterwards: of two changes that follow each other quickly the later one counts, whichever effect ends last.
 */
@Injectable()
export class FollowParent extends EffectHandler<unknown> {
  override readonly effect = 'follow-parent';
  constructor(
    private readonly log: TenantLog,
    private readonly resellers: Resellers,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run({ tenantId: id, causationId }: Effect<unknown>): Promise<void> {
    const children = await this.resellers.childrenOf(id);
    if (children.length === 0) return;
    for (let followed = -1; ; ) {
      const { state, version } = await this.log.load(tenant, { tenant: id });
      if (version === followed) return;
      for (let next = 0; next < children.length; next += AT_ONCE)
        await Promise.all(
          children.slice(next, next + AT_ONCE).map((child) => {
            const command = systemCommand(derivedId('command', 'follow-parent', id, version, child), { causationId });
            return this.log.transact(tenant, { tenant: child, command }, followParent({ id, state }, this.clock.now()));
          }),
        );
      followed = version;
    }
  }
}
