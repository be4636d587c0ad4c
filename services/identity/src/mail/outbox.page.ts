import { Injectable } from '@nestjs/common';
import { HealthRoute } from '@tenantry/service/health';
import { z } from 'zod';
import { OutboxMailer } from './outbox-mailer.js';

const Query = z.object({ limit: z.coerce.number().int().min(1).max(1000).catch(100), tenantId: z.uuid().optional().catch(undefined) });

/** `/outbox?limit=&tenantId=` of the health port: simulated mails as JSON, newest first. */
@Injectable()
export class OutboxPage extends HealthRoute {
  override readonly path = '/outbox';

  constructor(private readonly outbox: OutboxMailer) {
    super();
  }

  override async respond(query: URLSearchParams): Promise<{ contentType: string; body: string }> {
    const mails = await this.outbox.list(Query.parse(Object.fromEntries(query)));
    return { contentType: 'application/json', body: JSON.stringify(mails) };
  }
}
