import { readFile } from 'node:fs/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { DomainError } from '@tenantry/contracts/errors';
import type { TenantLog } from '@tenantry/event-store/tenant-log';
import { connectNats } from '@tenantry/messaging/nats';
import type { Logger } from '@tenantry/observability/logger';
import type { Environment } from '@tenantry/service/environment';
import { Consumers } from './consumers.js';
import { Provisioner } from './provisioner.js';
import { Resolver } from './resolver.js';
import { Signer } from './signer.js';
import type { SubscriptionTable } from './subscription-table.js';

interface Parts {
  environment: Environment;
  nats: NatsConnection;
  log: TenantLog;
  table: SubscriptionTable;
  logger: Logger;
}

/** What event subscriptions need of the broker, where this installation holds its keys. */
export class Broker {
  private constructor(
    /** Where subscribers reach it. */
    readonly natsUrl: string,
    readonly consumers: Consumers,
    private readonly own: Provisioner | null,
    private readonly closeSystem: () => Promise<void>,
  ) {}

  /** @throws Error that names the variable, where a file cannot be used */
  static async open({ environment: { values }, nats, log, table, logger }: Parts): Promise<Broker> {
    const { TENANTRY_NATS_OPERATOR_SEED_FILE: operatorFile, TENANTRY_NATS_PLATFORM_SEED_FILE: platformFile } = values;
    const credsFile = values.TENANTRY_NATS_SYSTEM_CREDS_FILE;
    const natsUrl = values.TENANTRY_PUBLIC_NATS_URL ?? values.TENANTRY_NATS_URL;
    const consumers = new Consumers(nats);
    if (operatorFile === undefined || platformFile === undefined || credsFile === undefined)
      return new Broker(natsUrl, consumers, null, () => Promise.resolve());
    const [operator, platform] = await Promise.all([readFile(operatorFile, 'utf8'), readFile(platformFile, 'utf8')]);
    const signer = new Signer({ operator, platform });
    // Not waited for: a broker that refuses this user takes event subscriptions away, and nothing else.
    const system = connectNats({ url: values.TENANTRY_NATS_URL, process: 'identity', credsFile, logger });
    const provisioner = new Provisioner(log, table, consumers, new Resolver(system), signer);
    return new Broker(natsUrl, consumers, provisioner, async () => {
      const connection = await Promise.race([system, Promise.resolve(null)]);
      await connection?.close();
    });
  }

  /** @throws DomainError `event_subscription.not_configured` */
  get provisioner(): Provisioner {
    if (this.own) return this.own;
    throw new DomainError('event_subscription.not_configured', {
      detail:
        'Identity holds no keys of the broker: set TENANTRY_NATS_OPERATOR_SEED_FILE, TENANTRY_NATS_PLATFORM_SEED_FILE and ' +
        'TENANTRY_NATS_SYSTEM_CREDS_FILE, and use a broker with an account resolver of type full',
    });
  }
  get configured(): boolean {
    return this.own !== null;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.closeSystem();
  }
}
