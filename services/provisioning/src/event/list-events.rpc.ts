import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { listEvents } from '@tenantry/contracts/tenant/event-routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { readPage } from './log-page.js';

const DEFAULT_LIMIT = 50;

/** The log as it is: personal fields stay encrypted. */
@Controller()
export class ListEventsRpc {
  constructor(private readonly log: TenantLog) {}

  @Handles(listEvents)
  async handle({ tenantId, query }: Call<typeof listEvents>): Reply<typeof listEvents> {
    const { events, head } = await readPage(this.log, tenantId, (query.after ?? -1) + 1, query.limit ?? DEFAULT_LIMIT);
    if (head < 0) throw new DomainError('tenant.not_found');
    type Items = Awaited<Reply<typeof listEvents>>['body']['items'];
    return { status: 200, body: { items: events as unknown as Items, head }, position: { tenantId, position: head }, total: head + 1 };
  }
}
