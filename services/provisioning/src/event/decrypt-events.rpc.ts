import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { decryptEvents } from '@tenantry/contracts/tenant/event-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { revealed } from '@tenantry/crypto/revealed';
import { secretValues } from '@tenantry/crypto/secret-values';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Logger } from '@tenantry/observability/logger';
import { permits } from '@tenantry/service/authorize';
import { TokenBuckets } from '@tenantry/service/token-buckets';
import { Sensitive } from '../history/sensitive.js';
import { bytesOf, PAGE_BYTES, readPage } from './log-page.js';

// Of one principal, in each replica: more than a subscriber that catches up needs, less than copying everybody's data takes.
const REQUESTS_AT_ONCE = 60;
const REQUESTS_PER_SECOND = 20;
const PORTION = 50;

/**
 * Personal data by the positions of its events, never by ciphertext: only what the tenant's own log holds can be asked for.
 * What another tenant's key encrypted is never decrypted here: null stands in its place.
 */
@Controller()
export class DecryptEventsRpc {
  private readonly requests = new TokenBuckets(REQUESTS_AT_ONCE, REQUESTS_PER_SECOND);

  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly sensitive: Sensitive,
    private readonly logger: Logger,
  ) {}

  @Handles(decryptEvents)
  async handle({ tenantId, body, command }: Call<typeof decryptEvents>): Reply<typeof decryptEvents> {
    const { principal } = command;
    if (!permits(principal.permissions, 'event:read'))
      throw new DomainError('auth.forbidden', {
        detail: 'The permission event:read is needed too',
        extensions: { permission: 'event:read' },
      });
    this.limit(principal.id);
    const wanted = [...new Set(body.positions)].sort((a, b) => a - b);
    const { events, remaining } = await this.read(tenantId, wanted);
    const sensitive = await this.sensitive.keysOf(tenantId);
    const sealed = events.map(({ position, id, type, version, data }) => ({ position, id, type, version, data }));
    const items = await revealed(this.keyring, tenantId, sealed, secretValues(sealed, sensitive));
    // Who reads personal data is on record with what was read, and never the data itself.
    const positions = events.map(({ position }) => position);
    this.logger.info({ tenantId, principal: { kind: principal.kind, id: principal.id }, positions }, 'personal data was read');
    type Items = Awaited<Reply<typeof decryptEvents>>['body']['items'];
    return { status: 200, body: { items: items as Items, remaining } };
  }

  private limit(principalId: string): void {
    const now = performance.now();
    if (this.requests.take(principalId, now)) return;
    throw new DomainError('rate.limited', {
      detail: 'Personal data was asked for too often: name more positions in one request',
      retryAfterSeconds: this.requests.retryAfterSeconds(principalId, now),
    });
  }

  /** The wanted events, as many as fit into an answer. Positions that lie together are read together. @throws DomainError `tenant.not_found` */
  private async read(tenantId: string, wanted: readonly number[]): Promise<{ events: StoredEvent[]; remaining: number[] }> {
    const events: StoredEvent[] = [];
    const set = new Set(wanted);
    let bytes = 0;
    for (let index = 0; index < wanted.length; ) {
      const from = wanted[index] as number;
      const last = wanted.at(-1) as number;
      const page = await readPage(this.log, tenantId, from, Math.min(PORTION, last - from + 1));
      if (page.head < 0) throw new DomainError('tenant.not_found');
      for (const event of page.events) {
        if (!set.has(event.position)) continue;
        bytes += bytesOf(event.data);
        if (bytes > PAGE_BYTES && events.length > 0) return { events, remaining: wanted.slice(index) };
        events.push(event);
        index += 1;
      }
      if (page.events.length === 0) break;
    }
    return { events, remaining: [] };
  }
}
