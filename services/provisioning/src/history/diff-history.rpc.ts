import { Controller } from '@nestjs/common';
import { diffHistory } from '@tenantry/contracts/tenant/history-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { changesBetween } from './changes.js';
import { documentOf } from './document.js';
import { momentOf } from './moment.js';
import { shown } from './present.js';
import { Sensitive } from './sensitive.js';
import { TenantHistory } from './tenant-history.js';

/** Two moments, in either order; before its first event a tenant was nothing. */
@Controller()
export class DiffHistoryRpc {
  constructor(
    private readonly history: TenantHistory,
    private readonly sensitive: Sensitive,
    private readonly keyring: Keyring,
  ) {}

  @Handles(diffHistory)
  async handle({ tenantId, query, command }: Call<typeof diffHistory>): Reply<typeof diffHistory> {
    const from = momentOf(query.from ?? '0');
    const given = query.to === undefined ? undefined : momentOf(query.to);
    const head = await this.history.head(tenantId, { from, to: given });
    const to = given ?? { position: head };
    const [before, now] = await Promise.all([from, to].map((moment) => this.history.at(tenantId, moment, head)));
    const reader = { permissions: command.principal.permissions, sensitive: await this.sensitive.keysOf(tenantId) };
    const changes = before && now ? changesBetween(documentOf(before), documentOf(now)) : [];
    const [visible = []] = await shown(this.keyring, tenantId, [changes], reader);
    return { status: 200, body: { changes: visible }, asOf: head, position: { tenantId, position: head } };
  }
}
