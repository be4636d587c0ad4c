import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { ComeBack, type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { Database } from '@tenantry/service/database';
import { systemCommand } from '../saga/system-command.js';
import { startErasure } from './deletion.js';
import { Deletions } from './deletions.js';
import { tenant } from './tenant.js';
import { comeBackAt } from './wait-until.js';

const LOOK_AGAIN_MS = 500;

/** Waits for the end of a deletion's grace, then lets the erasure begin, unless the tenant is held or was undeleted meanwhile. */
@Injectable()
export class DeletionGrace extends EffectHandler {
  override readonly effect = 'deletion-grace';

  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
    private readonly deletions: Deletions,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run({ tenantId, causationId }: Effect): Promise<void> {
    const { state } = await this.log.load(tenant, { tenant: tenantId });
    if (state.status !== 'deleting' || !state.deletion || state.deletion.erasing || state.legalHold) return;
    const { operationId, graceEndsAt } = state.deletion;
    if ((await this.deletions.stopForChildren(tenantId, operationId)) > 0) return;
    comeBackAt(graceEndsAt, this.clock);
    // A provisioning or a move that began before makes what the erasure would look for; it stops by itself, and none begins any more.
    if (await this.isWorkedOn(tenantId)) throw new ComeBack(LOOK_AGAIN_MS);
    const command = systemCommand(derivedId('command', operationId, 'erasure'), { causationId, correlationId: operationId });
    await this.log.transact(tenant, { tenant: tenantId, command }, startErasure(operationId, this.clock.now()));
  }

  private async isWorkedOn(tenantId: string): Promise<boolean> {
    const { rowCount } = await this.database.pool.query({
      name: 'tenant-is-worked-on',
      text: `SELECT 1 FROM provisioning.effects WHERE tenant_id = $1 AND name IN ('provision', 'operation') AND state IN ('pending', 'running') LIMIT 1`,
      values: [tenantId],
    });
    return rowCount !== 0;
  }
}
