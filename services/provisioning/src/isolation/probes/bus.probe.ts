import { readFile } from 'node:fs/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { probeSubscriptions } from '@tenantry/contracts/identity/operations';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { type BrokerAttempt, connectOnce, refusals } from '@tenantry/messaging/broker-refusal';
import { inboxPrefixOf } from '@tenantry/messaging/nats';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Environment } from '@tenantry/service/environment';
import { breached, held, notApplicable } from '../attempt.js';
import { Probe, type Subject } from '../probe.js';

const TRIED_MS = 60_000;
const NOBODY = '00000000-0000-4000-8000-000000000000';

/** The bus: without credentials, with those of the process that makes tenants, and with those of the tenant's own event subscriptions. */
@Injectable()
export class BusProbe extends Probe {
  private readonly url: string;
  private readonly credsFile: string;
  private ofAll: { attempts: Promise<Attempt[]>; untilMs: number } | null = null;

  constructor(
    private readonly rpc: RpcClient,
    { values }: Environment,
  ) {
    super();
    this.url = values.TENANTRY_NATS_URL;
    this.credsFile = values.TENANTRY_NATS_CREDS_FILE;
  }

  async attempts({ tenantId, peer }: Subject): Promise<Attempt[]> {
    const [ofAll, { attempts }] = await Promise.all([
      this.aroundAll(),
      this.rpc.call(probeSubscriptions, { tenantId, foreignTenantId: peer?.tenantId ?? null }),
    ]);
    const whose = 'with the credentials of its event subscription';
    const none: Attempt = { boundary: 'bus', target: 'event subscriptions', ...notApplicable(whose, 'the tenant has no active one') };
    return [...ofAll, ...(attempts.length > 0 ? attempts.map(said(whose)) : [none])];
  }

  /** What is around all tenants alike is tried once a minute, not once per tenant. */
  private aroundAll(): Promise<Attempt[]> {
    const now = performance.now();
    if (this.ofAll && now < this.ofAll.untilMs) return this.ofAll.attempts;
    const attempts = Promise.all([this.withoutCredentials(), this.asProcess()]).then(([anonymous, process]) => [
      anonymous,
      ...process.map(said('as the process that makes tenants')),
    ]);
    this.ofAll = { attempts, untilMs: now + TRIED_MS };
    attempts.catch(() => {
      this.ofAll = null;
    });
    return attempts;
  }

  private async withoutCredentials(): Promise<Attempt> {
    const attempt = 'connect without credentials';
    const at = { boundary: 'bus', target: 'the broker' } as const;
    let connection: NatsConnection;
    try {
      connection = await connectOnce(this.url);
    } catch (error) {
      // Anything else than a refusal says that the broker is away.
      if (/authorization|authentication/i.test((error as Error).message)) return { ...at, ...held(attempt, 'refused by the broker') };
      throw new DomainError('service.unavailable', { detail: 'The broker could not be reached.', cause: error });
    }
    await connection.close();
    return { ...at, ...breached(attempt, 'the broker let it in') };
  }

  /** What a process could do to a tenant's events past the one that owns them. */
  private async asProcess(): Promise<(BrokerAttempt & { refused: boolean })[]> {
    const connection = await connectOnce(this.url, { text: await readFile(this.credsFile), inboxPrefix: inboxPrefixOf('provisioning') });
    try {
      return await refusals(connection, [
        { what: 'publish', subject: `tenantry.events.${NOBODY}.tenant.TenantActivated` },
        { what: 'publish', subject: 'rpc.identity.gateway.authenticate' },
        { what: 'publish', subject: '$JS.API.CONSUMER.LIST.TENANTRY_EVENTS' },
        { what: 'subscribe', subject: 'rpc.identity.>' },
        { what: 'subscribe', subject: '_INBOX_gateway.>' },
        { what: 'subscribe', subject: '$JS.>' },
      ]);
    } finally {
      await connection.close();
    }
  }
}

const said =
  (whose: string) =>
  ({ what, subject, refused }: BrokerAttempt & { refused: boolean }): Attempt => {
    const attempt = `${what === 'publish' ? 'publish' : 'listen'} ${whose}`;
    return {
      boundary: 'bus',
      target: subject,
      ...(refused ? held(attempt, 'refused by the broker') : breached(attempt, 'the broker let it')),
    };
  };
