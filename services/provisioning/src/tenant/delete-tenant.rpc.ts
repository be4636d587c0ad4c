import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { deleteTenant, setLegalHold } from '@tenantry/contracts/tenant/lifecycle-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { OperationIndex } from '../operation/operation-index.js';
import { holdLegally, scheduleDeletion } from './deletion.js';
import { DELETION } from './deletion-operations.js';
import { Resellers } from './resellers.js';
import { registered, tenant } from './tenant.js';
import { tenantView } from './tenant-view.js';

@Controller()
export class DeleteTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly operations: OperationIndex,
    private readonly resellers: Resellers,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  @Handles(deleteTenant)
  async delete({ tenantId, body, command }: Call<typeof deleteTenant>): Reply<typeof deleteTenant> {
    const order = {
      ...body,
      cause: body.cause ?? ('manual' as const),
      operationId: derivedId('operation', tenantId, 'deletion', command.id),
    };
    // Looked at first: who isn't a tenant, or goes already, gets no operation.
    const before = await this.log.load(tenant, { tenant: tenantId });
    const now = this.clock.now();
    const begins = scheduleDeletion(order, now)(before.state).length > 0;
    if (begins) await this.resellers.requireNoChildren(tenantId);
    if (begins) await this.operations.add(order.operationId, tenantId, DELETION);
    const done = await this.log.transact(tenant, { tenant: tenantId, command }, scheduleDeletion(order, now), before);
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
