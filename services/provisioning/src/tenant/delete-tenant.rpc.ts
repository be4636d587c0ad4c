import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { deleteTenant, setLegalHold } from '@tenantry/contracts/tenant/lifecycle-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Holding } from '../approval/holding.js';
import { holdLegally } from './deletion.js';
import { Deletions } from './deletions.js';
import { registered, tenant } from './tenant.js';
import { tenantView } from './tenant-view.js';

@Controller()
export class DeleteTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly deletions: Deletions,
    private readonly holding: Holding,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  @Handles(deleteTenant)
  async delete({ tenantId, body, command }: Call<typeof deleteTenant>): Reply<typeof deleteTenant> {
    const { begins, before } = await this.deletions.plan(tenantId, body, command);
    const held = begins ? await this.holding.holdCommand(tenantId, 'delete', body, command, before.version) : null;
    if (held) return held;
    const done = await this.deletions.begin(tenantId, body, command, (decide) => this.holding.clearedDecision(decide, () => 'delete'));
    const state = registered(done.state);
    const { version, position } = done;
    const view = await tenantView(this.keyring, tenantId, state, { version, position });
    if (!state.deletion || !view.deletion) throw new Error(`the deletion of ${tenantId} left no trace`); // the decision leaves one
    const id = state.deletion.operationId;
    const url = `/api/v1/platform/operations/${id}`;
    return {
      status: 202,
      body: { ...view, deletion: view.deletion, operation: { id, url } },
      version,
      position: { tenantId, position },
      location: url,
    };
  }

  @Handles(setLegalHold)
  async hold({ tenantId, body, command }: Call<typeof setLegalHold>): Reply<typeof setLegalHold> {
    const { state, version, position } = await this.log.transact(
      tenant,
      { tenant: tenantId, command },
      holdLegally(body.held, body.reason, this.clock.now()),
    );
    const view = await tenantView(this.keyring, tenantId, registered(state), { version, position });
    return { status: 200, body: view, version, position: { tenantId, position } };
  }
}
