import { Controller } from '@nestjs/common';
import { listConsumers, oversightOf } from '@tenantry/contracts/platform/consumers';
import { Handles } from '@tenantry/messaging/handles';
import { type Call, type Reply, RpcClient } from '@tenantry/messaging/rpc';
import { askAll, decodeAfter, pageOf, servicesFrom } from './fan-out.js';

const DEFAULT_LIMIT = 50;

@Controller()
export class ListConsumersRpc {
  constructor(private readonly rpc: RpcClient) {}

  @Handles(listConsumers)
  async handle({ query }: Call<typeof listConsumers>): Reply<typeof listConsumers> {
    const { cursor, limit = DEFAULT_LIMIT, service: only, tenantId, state } = query;
    const after = decodeAfter(cursor, 2);
    const { answers, unanswered } = await askAll(servicesFrom(after, only), (service) => {
      const [consumer = '', last = ''] = after?.service === service ? after.key : [];
      return this.rpc.call(oversightOf(service).consumers, {
        after: consumer === '' ? null : { consumer, tenantId: last },
        limit: limit + 1,
        tenantId,
        state,
      });
    });
    return { status: 200, body: { ...pageOf(answers, limit, (item) => [item.consumer, item.tenantId]), unanswered } };
  }
}
