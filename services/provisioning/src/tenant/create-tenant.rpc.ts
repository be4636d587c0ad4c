import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { createTenant } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { newStream, TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { operationId } from '../operation/operation.js';
import { OperationIndex } from '../operation/operation-index.js';
import { Plans } from '../plan/plans.js';
import { accepted } from './accepted.js';
import { Names } from './names.js';
import { draft, registration } from './registration.js';
import { Resellers } from './resellers.js';
import { register, registered, tenant } from './tenant.js';

/** The tenant's id comes from the command's, so that a repeated request cannot make two; the answer is a function of the first event. */
@Controller()
export class CreateTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly names: Names,
    private readonly plans: Plans,
    private readonly resellers: Resellers,
    private readonly operations: OperationIndex,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  @Handles(createTenant)
  async handle({ body, command }: Call<typeof createTenant>): Reply<typeof createTenant> {
    const asked = draft(body);
    const plan = await this.plans.current(asked.plan.id, typeof body.plan === 'object' ? 'plan.id' : 'plan');
    const parentId = await this.resellers.parentFor(command.principal, asked.parentId, plan.features);
    const tenantId = derivedId('tenant', command.id);
    const operation = operationId(tenantId, 0);
    const [names] = await Promise.all([
      this.names.reserve(tenantId, asked),
      this.operations.add(operation, tenantId, 'provisioning'),
      this.keyring.keys(tenantId, ['contacts', 'config', 'requests', `principal-${command.principal.id}`]),
    ]);
    const done = await this.log.transact(
      tenant,
      { tenant: tenantId, command },
      register(registration({ ...asked, parentId }, { operationId: operation, ...names, plan, now: this.clock.now() })),
      newStream(tenant),
    );
    return accepted(this.keyring, tenantId, registered(done.state), done);
  }
}
