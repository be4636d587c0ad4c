import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { Actor } from '@tenantry/contracts/events';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { Principal } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { apiKey, platformKey } from './api-key.js';
import { ApiKeyTable, type KeyOfPerson } from './api-key-table.js';

type Maker = Pick<Principal, 'kind' | 'id' | 'person'>;

/**
 * Whose a key is, so that "somebody else" is another person and not another key of the same one. A key made with somebody's key is that
 * person's. Only the first key, which whoever installed the platform has, makes keys for others: one for each person whom it names, or for
 * nobody known, who is then told apart by the key itself.
 */
@Injectable()
export class People {
  constructor(
    private readonly log: TenantLog,
    private readonly table: ApiKeyTable,
    private readonly keyring: Keyring,
  ) {}

  /** @throws DomainError `auth.forbidden` where an owner is named with another key than the first one */
  async ofNew(keyId: string, maker: Maker, owner?: string): Promise<string> {
    const isFirst = await this.isFirst(maker);
    if (owner === undefined) return isFirst ? keyId : (maker.person ?? (await this.ofMaker(maker.id)));
    if (!isFirst)
      throw new DomainError('auth.forbidden', {
        detail: "A key that is made with one's own key is one's own: only the first platform key names other people",
        errors: [{ field: 'owner', rule: 'first_key', message: 'must be left out: only the first platform key names whose a key is' }],
      });
    // The same however it is written, and nothing that says who it is.
    const reference = await this.keyring.hmac(PLATFORM_LOG, 'key-owners', owner.normalize('NFKC').trim().toLowerCase());
    return `owner-${reference.slice(0, 32)}`;
  }

  /** Of a key from before there was this, it is found in the log, by who made it. */
  async of({ keyId, tenantId, person }: KeyOfPerson): Promise<string> {
    if (person !== null) return person;
    const { maker, said } = await this.made(keyId, tenantId);
    const isOwn = maker === null || maker.kind === 'system' || maker.kind === 'service' || (await this.isFirst(maker));
    const found = said ?? (isOwn ? keyId : await this.ofMaker(maker.id));
    await this.table.setPerson(keyId, found);
    return found;
  }

  private async ofMaker(keyId: string): Promise<string> {
    const known = await this.table.byId(keyId);
    return known ? this.of(known) : keyId;
  }

  /** The one that came with the installation. */
  private async isFirst({ kind, id }: Pick<Maker, 'id'> & { kind: string }): Promise<boolean> {
    return kind === 'staff' && (await this.made(id, null)).maker?.kind === 'system';
  }

  /** By whom, and whose it is where its event says so. */
  private async made(keyId: string, tenantId: string | null): Promise<{ maker: Actor | null; said?: string }> {
    const { events } =
      tenantId === null
        ? await this.log.load(platformKey, { tenant: PLATFORM_LOG, stream: `platform-key-${keyId}` })
        : await this.log.load(apiKey, { tenant: tenantId, stream: `api-key-${keyId}` });
    const [event] = events;
    return { maker: event?.metadata.actor ?? null, said: (event?.data as { person?: string } | undefined)?.person };
  }
}
