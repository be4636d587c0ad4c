import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
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
import { abandonments, type Registration, register, registered, tenant } from './tenant.js';

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
    const found = registration({ ...asked, parentId }, { operationId: operation, ...names, plan, now: this.clock.now() });
    const target = { tenant: tenantId, command };
    const done =
      parentId === undefined
        ? await this.log.transact(tenant, target, register(found), newStream(tenant))
        : await this.registerChild(parentId, found, target);
    return accepted(this.keyring, tenantId, registered(done.state), done);
  }

  /** A deletion of its reseller that begins meanwhile abandons it, or is refused for it. */
  private async registerChild(parentId: string, found: Registration, target: { tenant: string; command: CommandContext }) {
    const before = await this.log.load(tenant, { tenant: target.tenant });
    if (before.state.status === 'none') await this.resellers.admit(parentId, { tenantId: target.tenant, slug: found.slug }, target.command);
    return this.log.transact(tenant, target, register(found, abandonments(before.state)));
  }
}
