import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { getTenant } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { momentOf } from '../history/moment.js';
import { Sensitive } from '../history/sensitive.js';
import { tenantAt } from '../history/tenant-at.js';
import { TenantHistory } from '../history/tenant-history.js';
import { registered, tenant } from './tenant.js';
import { tenantView } from './tenant-view.js';

/** Folds the tenant's stream: always current, so it needs no `Tenantry-Min-Position`. With `at`, the log up to there. */
@Controller()
export class GetTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly history: TenantHistory,
    private readonly sensitive: Sensitive,
  ) {}

  @Handles(getTenant)
  async handle({ tenantId, query, command }: Call<typeof getTenant>): Reply<typeof getTenant> {
    if (query.at !== undefined) return this.at(tenantId, query.at, command.principal.permissions);
    const { state, version, position } = await this.log.load(tenant, { tenant: tenantId });
    if (state.status === 'deleted') throw new DomainError('tenant.deleted');
    const body = await tenantView(this.keyring, tenantId, registered(state), { version, position });
    return { status: 200, body, version, position: { tenantId, position } };
  }

  private async at(tenantId: string, text: string, permissions: readonly string[]): Promise<RouteAnswer<typeof getTenant>> {
    const at = momentOf(text);
    const head = await this.history.head(tenantId, { at });
    const [then, sensitive] = await Promise.all([this.history.at(tenantId, at, head), this.sensitive.keysOf(tenantId)]);
    if (then.tenant.status === 'none') throw new DomainError('tenant.not_found', { detail: `There was no such tenant yet at ${text}.` });
    const body = await tenantAt(this.keyring, tenantId, then, { permissions, sensitive });
    return { status: 200, body, asOf: then.position, position: { tenantId, position: then.position } };
  }
}
