import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { consumerServices, oversightOf, type ParkedView } from '@tenantry/contracts/platform/consumers';
import { RpcClient } from '@tenantry/messaging/rpc';
import { askAll } from './fan-out.js';

/** Parked things of all services, by their id: only the service that has it knows it. */
@Injectable()
export class ParkedThings {
  constructor(private readonly rpc: RpcClient) {}

  /** @throws DomainError `parked.not_found`; `service.unavailable` where it may be one of a service that doesn't answer */
  async find(id: string): Promise<ParkedView> {
    const { answers, unanswered } = await askAll(consumerServices, (service) =>
      this.rpc.call(oversightOf(service).parked, { after: null, limit: 1, id }),
    );
    const [found] = answers.flatMap(({ answer }) => answer.items);
    if (found) return found;
    if (unanswered.length === 0) throw new DomainError('parked.not_found');
    const silent = unanswered.map(({ service }) => service).join(', ');
    throw new DomainError('service.unavailable', { detail: `It may be of a service that did not answer: ${silent}`, retryAfterSeconds: 5 });
  }

  /** Null where it was settled meanwhile, or can't be left out. */
  async settle(item: ParkedView, skip: { by: string; reason: string } | null): Promise<ParkedView | null> {
    return (await this.rpc.call(oversightOf(item.service).settle, { id: item.id, skip })).item;
  }
}
