import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { type SystemCommand, TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { systemCommand } from '../saga/system-command.js';
import { followParent } from './family.js';
import type { FollowParentPayload } from './family.process.js';
import { Resellers } from './resellers.js';
import { tenant } from './tenant.js';

const AT_ONCE = 20;

/**
 * Brings the children of a tenant, if it has any, to where its present standing puts them. It goes by what the log says now, not by the event
 * that woke it, and looks again afterwards: of two changes that follow each other quickly the later one counts, whichever effect ends last.
 */
@Injectable()
export class FollowParent extends EffectHandler<FollowParentPayload> {
  override readonly effect = 'follow-parent';
  constructor(
    private readonly log: TenantLog,
    private readonly resellers: Resellers,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run({ id: effectId, tenantId: id, causationId, payload }: Effect<FollowParentPayload>): Promise<void> {
    if (payload.cameBack) await this.followOwn(id, effectId, causationId);
    const children = [...(await this.resellers.childrenOf(id)).keys()];
    await this.follow(id, children, (version, child) =>
      systemCommand(derivedId('command', 'follow-parent', id, version, child), { causationId }),
    );
  }

  /** While it was away, it was left alone: what its reseller went through since then counts now. */
  private async followOwn(id: string, effectId: string, causationId: string): Promise<void> {
    const { state } = await this.log.load(tenant, { tenant: id });
    if (state.status === 'none' || state.parentId === undefined) return;
    await this.follow(state.parentId, [id], (version) =>
      systemCommand(derivedId('command', 'follow-parent', effectId, version), { causationId }),
    );
  }

  /** Until the parent is still as it was when the last of them was brought there. */
  private async follow(
    parentId: string,
    children: string[],
    command: (parentVersion: number, child: string) => SystemCommand,
  ): Promise<void> {
    if (children.length === 0) return;
    for (let followed = -1; ; ) {
      const { state, version } = await this.log.load(tenant, { tenant: parentId });
      if (version === followed) return;
      for (let next = 0; next < children.length; next += AT_ONCE)
        await Promise.all(
          children
            .slice(next, next + AT_ONCE)
            .map((child) =>
              this.log.transact(
                tenant,
                { tenant: child, command: command(version, child) },
                followParent({ id: parentId, state }, this.clock.now()),
              ),
            ),
        );
      followed = version;
    }
  }
}
