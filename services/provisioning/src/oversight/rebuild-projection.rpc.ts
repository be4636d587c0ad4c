import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { oversightOf, rebuildProjection } from '@tenantry/contracts/platform/consumers';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import { type Call, type Reply, RpcClient } from '@tenantry/messaging/rpc';
import { OperationIndex } from '../operation/operation-index.js';
import { rebuild, rebuildId, requestRebuild } from './rebuild.js';
import { RebuildOperations } from './rebuilds.js';

@Controller()
export class RebuildProjectionRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly rpc: RpcClient,
    private readonly index: OperationIndex,
    private readonly rebuilds: RebuildOperations,
  ) {}

  @Handles(rebuildProjection)
  async handle({ params: { service, name }, body, command }: Call<typeof rebuildProjection>): Reply<typeof rebuildProjection> {
    const { consumer } = await this.rpc.call(oversightOf(service).consumerOf, { name });
    if (consumer === null) throw new DomainError('projection.not_found');
    const tenantId = body.tenantId ?? null;
    if (tenantId !== null && (await this.log.heads({ tenantIds: [tenantId] })).length === 0) throw new DomainError('tenant.not_found');
    const operationId = rebuildId(command.id);
    await this.index.add(operationId, PLATFORM_LOG, 'rebuild');
    await this.log.transact(
      rebuild,
      { tenant: PLATFORM_LOG, stream: `operation-${operationId}`, command },
      requestRebuild({ operationId, service, consumer, tenantId }),
    );
    const { view, position } = await this.rebuilds.view({ id: operationId });
    return { status: 202, body: view, position, location: `/api/v1/platform/operations/${operationId}` };
  }
}
