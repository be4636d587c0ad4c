import { Injectable } from '@nestjs/common';
import type { EventSubscription } from '@tenantry/contracts/identity/event-subscriptions';
import { isEncrypted, parseKeyId } from '@tenantry/crypto/envelope';
import { Keyring } from '@tenantry/crypto/keyring';
import type { z } from 'zod';
import { EVENT_STREAM } from './account.js';
import { Broker } from './broker.js';
import type { Existing } from './event-subscription.js';
import { consumersOf } from './grant.js';
import type { Issued } from './subscription-table.js';

/** Subscriptions as answers show them. */
@Injectable()
export class Shown {
  constructor(
    private readonly broker: Broker,
    private readonly keyring: Keyring,
  ) {}

  async all(logId: string, found: readonly Existing[], issued: ReadonlyMap<string, Issued>) {
    // One fetch for all keys.
    await this.keyring.opening(
      logId,
      found.flatMap(({ name }) => (isEncrypted(name) ? [parseKeyId(name).id] : [])),
    );
    return Promise.all(found.map((of) => this.of(logId, of, issued.get(of.subscriptionId))));
  }

  async of(logId: string, of: Existing, issued?: Issued): Promise<z.infer<typeof EventSubscription>> {
    return {
      id: of.subscriptionId,
      name: await this.keyring.reveal<string>(logId, of.name),
      status: of.status,
      tenants: of.tenants,
      contexts: of.contexts,
      types: of.types,
      from: of.start.from,
      natsUrl: this.broker.natsUrl,
      stream: EVENT_STREAM,
      consumers: consumersOf(of.subscriptionId, of).map(({ name, filterSubject }) => ({ name, filterSubject })),
      inboxPrefix: issued?.inboxPrefix ?? null,
      credentialsExpireAt: issued?.expiresAt ?? null,
      createdAt: of.createdAt,
    };
  }
}
