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
import { type Draft, draft, registration } from './registration.js';
import { Resellers } from './resellers.js';
import { Abandoned, abandonments, type Registration, register, registered, type Tenant, tenant } from './tenant.js';

type TakenNames = Awaited<ReturnType<Names['reserve']>>;

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
    const target = { tenant: tenantId, command };
    // Looked at before anything is taken for it: what is given up since then takes the names with it.
    const child = parentId === undefined ? null : await this.log.load(tenant, { tenant: tenantId });
    const [names] = await Promise.all([
      this.names.reserve(tenantId, asked),
      this.operations.add(operation, tenantId, 'provisioning'),
      this.keyring.keys(tenantId, ['contacts', 'config', 'requests', `principal-${command.principal.id}`]),
    ]);
    const registrationOf = (taken: TakenNames) =>
      registration({ ...asked, parentId }, { operationId: operation, ...taken, plan, now: this.clock.now() });
    const done =
      parentId === undefined || child === null
        ? await this.register(registrationOf, asked, names, target)
        : await this.registerChild(parentId, registrationOf(names), child.state, target);
    return accepted(this.keyring, tenantId, registered(done.state), done);
  }

  /** One that comes late, after its names were given back, takes names again. Nearly none does: that is found out by the append itself. */
  private async register(
    registrationOf: (names: TakenNames) => Registration,
    asked: Draft,
    names: TakenNames,
    target: { tenant: string; command: CommandContext },
  ) {
    for (let [taken, seen] = [names, 0]; ; ) {
      try {
        return await this.log.transact(tenant, target, register(registrationOf(taken), seen), seen === 0 ? newStream(tenant) : undefined);
      } catch (error) {
        if (!(error instanceof Abandoned)) throw error;
        seen = error.times;
        taken = await this.names.reserve(target.tenant, asked);
      }
    }
  }

  /** A deletion of its reseller that begins meanwhile abandons it, or is refused for it. */
  private async registerChild(parentId: string, found: Registration, before: Tenant, target: { tenant: string; command: CommandContext }) {
    if (before.status === 'none') await this.resellers.admit(parentId, { tenantId: target.tenant, slug: found.slug }, target.command);
    return this.log.transact(tenant, target, register(found, abandonments(before)));
  }
}
