import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { listEvents } from '@tenantry/contracts/tenant/routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';

/** The log as it is: personal fields stay encrypted. */
@Controller()
export class ListEventsRpc {
  constructor(private readonly log: TenantLog) {}

  @Handles(listEvents)
  async handle({ tenantId, query }: Call<typeof listEvents>): Reply<typeof listEvents> {
    const { events, head } = await this.log.readLog(tenantId, (query.after ?? -1) + 1, { limit: query.limit ?? 50 });
    if (head < 0) throw new DomainError('tenant.not_found');
    return { status: 200, body: { items: events.map((event) => ({ ...event })), head }, position: { tenantId, position: head } };
  }
}
