import { Controller } from '@nestjs/common';
import { listOperationItems } from '@tenantry/contracts/platform/consumers';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Operations } from './operations.js';

const DEFAULT_LIMIT = 50;

/** An operation on one tenant has none. */
@Controller()
export class ListItemsRpc {
  constructor(private readonly operations: Operations) {}

  @Handles(listOperationItems)
  async handle({ params, query }: Call<typeof listOperationItems>): Reply<typeof listOperationItems> {
    const { at, kind } = await this.operations.find(params.operationId);
    const found = await kind.items?.(at, { ...query, limit: query.limit ?? DEFAULT_LIMIT });
    return { status: 200, body: found ?? { items: [], nextCursor: null } };
  }
}
