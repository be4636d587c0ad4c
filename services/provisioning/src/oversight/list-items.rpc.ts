import { Controller } from '@nestjs/common';
import { invalidField } from '@tenantry/contracts/errors';
import { listOperationItems, oversightOf } from '@tenantry/contracts/platform/consumers';
import type { ServiceName } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import { type Call, type Reply, RpcClient } from '@tenantry/messaging/rpc';
import { OperationIndex } from '../operation/operation-index.js';
import { RebuildOperations } from './rebuilds.js';

const DEFAULT_LIMIT = 50;

/** An operation on one tenant has none. */
@Controller()
export class ListItemsRpc {
  constructor(
    private readonly index: OperationIndex,
    private readonly rebuilds: RebuildOperations,
    private readonly rpc: RpcClient,
  ) {}

  @Handles(listOperationItems)
  async handle({ params, query }: Call<typeof listOperationItems>): Reply<typeof listOperationItems> {
    const { cursor = null, limit = DEFAULT_LIMIT, status } = query;
    if (cursor !== null && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(cursor))
      throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
    const { type } = await this.index.find(params.operationId);
    if (type !== 'rebuild') return { status: 200, body: { items: [], nextCursor: null } };
    const { requested } = await this.rebuilds.requested(params.operationId);
    const { items } = await this.rpc.call(oversightOf(requested.service as ServiceName).items, {
      operationId: params.operationId,
      after: cursor,
      limit: limit + 1,
      status,
    });
    const shown = items.slice(0, limit);
    return { status: 200, body: { items: shown, nextCursor: items.length > limit ? (shown.at(-1)?.tenantId ?? null) : null } };
  }
}
