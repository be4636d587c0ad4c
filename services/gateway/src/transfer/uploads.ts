import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import { Bus } from '@tenantry/service/bus';
import type { FastifyRequest } from 'fastify';
import type { Endpoint } from '../http/endpoint.js';
import { Forwarder } from '../http/forwarder.js';
import { type Rendered, renderProblem } from '../http/rendered.js';
import { announcedBy } from './headers.js';
import { IncomingContent } from './incoming-content.js';
import { Transfers } from './transfers.js';

/** Files that clients send through this process: their owner reads them here, part by part. */
@Injectable()
export class Uploads {
  private readonly open = new Map<string, IncomingContent>();

  constructor(
    private readonly forwarder: Forwarder,
    private readonly transfers: Transfers,
    private readonly bus: Bus,
  ) {}

  /** @throws DomainError for what is refused here; what the owner refuses is an answer */
  async receive(endpoint: Endpoint, request: FastifyRequest, stillAllowed: () => Promise<void>): Promise<Rendered> {
    const announced = announcedBy(request.headers);
    const giveBack = await this.transfers.begin(request.exchange.tenantId ?? '');
    const transferId = newId();
    const content = new IncomingContent(request.raw, { stillAllowed });
    this.open.set(transferId, content);
    try {
      const body = { gateway: this.bus.instance, transferId, ...announced };
      return await Promise.race([this.forwarder.tell(endpoint, request, { body }), content.ended]);
    } catch (error) {
      return renderProblem(error, request.exchange.traceparent);
    } finally {
      this.open.delete(transferId);
      content.end();
      giveBack();
    }
  }

  /** @throws DomainError of what has ended the upload */
  read(transferId: string, reader: string, offset: number): Promise<{ content: Buffer; end: boolean }> {
    const content = this.open.get(transferId);
    if (!content) throw new DomainError('service.unavailable', { detail: 'The upload has ended already', retryAfterSeconds: 1 });
    return content.read(reader, offset);
  }

  /** The gateway is going: clients send again, to another replica. */
  endAll(): void {
    for (const content of [...this.open.values()]) content.end();
  }
}
