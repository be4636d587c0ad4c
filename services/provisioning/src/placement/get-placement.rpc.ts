import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { getPlacement } from '@tenantry/contracts/tenant/routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { placement } from './placement.js';

@Controller()
export class GetPlacementRpc {
  constructor(private readonly log: TenantLog) {}

  @Handles(getPlacement)
  async handle({ tenantId }: Call<typeof getPlacement>): Reply<typeof getPlacement> {
    const [{ state, version, position }, heads] = await Promise.all([
      this.log.load(placement, { tenant: tenantId }),
      this.log.heads({ tenantIds: [tenantId] }),
    ]);
    if ((heads[0]?.position ?? -1) < 0) throw new DomainError('tenant.not_found');
    if (!state.placed) throw new DomainError('placement.not_found');
    const { placed: _, moving: __, ...body } = state;
    return { status: 200, body, version, position: { tenantId, position } };
  }
}
