import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { probeSubscriptions } from '@tenantry/contracts/identity/operations';
import { type BrokerAttempt, connectOnce, refusals } from '@tenantry/messaging/broker-refusal';
import { Handles } from '@tenantry/messaging/handles';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import type { z } from 'zod';
import { Broker } from './broker.js';
import { subscriptionsOf } from './event-subscriptions.projection.js';
import { consumersOf, filterOf } from './grant.js';

/** A subscription that nobody has: whoever reaches its consumers reaches anyone's. */
const NOBODYS = '00000000-0000-4000-8000-000000000000';

const mustNot = (tenantId: string, foreign: string): BrokerAttempt[] => {
  const consumer = consumersOf(NOBODYS, { tenants: [foreign], contexts: 'all' })[0]?.name as string;
  const publish = [
    `$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.${consumer}`,
    `$JS.ACK.TENANTRY_EVENTS.${consumer}.1.1.1.1.0`,
    '$JS.API.STREAM.MSG.GET.TENANTRY_EVENTS',
    '$JS.API.CONSUMER.LIST.TENANTRY_EVENTS',
    `$JS.API.CONSUMER.INFO.TENANTRY_EVENTS.${consumer}`,
    'rpc.identity.gateway.authenticate',
    '$SYS.REQ.SERVER.PING',
  ];
  const subscribe = [
    filterOf(foreign, null),
    filterOf(tenantId, null),
    filterOf(null, null),
    'rpc.>',
    '$JS.>',
    '_INBOX_gateway.>',
    '$SYS.>',
    '>',
  ];
  return [
    ...publish.map((subject) => ({ what: 'publish' as const, subject })),
    ...subscribe.map((subject) => ({ what: 'subscribe' as const, subject })),
  ];
};

@Controller()
export class ProbeEventSubscriptionsRpc {
  constructor(
    private readonly database: Database,
    private readonly broker: Broker,
    private readonly environment: Environment,
  ) {}

  @Handles(probeSubscriptions)
  async handle({
    tenantId,
    foreignTenantId,
  }: z.infer<typeof probeSubscriptions.input>): Promise<z.infer<typeof probeSubscriptions.output>> {
    const active = (await subscriptionsOf(this.database, tenantId)).find(({ status }) => status === 'active');
    if (!active || !this.broker.configured) return { attempts: [] };
    const credentials = await this.broker.provisioner.probeCredentials(active);
    const connection = await connectOnce(this.environment.values.TENANTRY_NATS_URL, credentials).catch((error: unknown) => {
      throw new DomainError('event_subscription.broker_unavailable', { retryAfterSeconds: 1, cause: error });
    });
    try {
      return { attempts: await refusals(connection, mustNot(tenantId, foreignTenantId ?? NOBODYS)) };
    } finally {
      await connection.close();
    }
  }
}
