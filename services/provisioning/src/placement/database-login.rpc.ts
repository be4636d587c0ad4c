import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { getDatabaseLogin } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { openLogin } from '@tenantry/tenancy/login-secret';
import { Placements } from '@tenantry/tenancy/placements';

@Controller()
export class DatabaseLoginRpc {
  private readonly placements: Placements;
  constructor(
    database: Database,
    private readonly keyring: Keyring,
  ) {
    this.placements = new Placements(database.pool, 0);
  }

  @Handles(getDatabaseLogin)
  async handle({ tenantId }: Call<typeof getDatabaseLogin>): Reply<typeof getDatabaseLogin> {
    const placed = await this.placements.find(tenantId, true);
    if (!placed?.placement.ready) throw new DomainError('placement.not_found');
    // Of a tenant that is on its way to a database of its own too: its connections are opened ahead.
    const own = [placed.placement, placed.next].find((place) => place?.isolation === 'isolated');
    if (!own || placed.loginSecret === null)
      throw new DomainError('placement.not_found', { detail: 'The tenant has no database of its own, so it has no login.' });
    const { database, role, generation } = own;
    return {
      status: 200,
      body: { database, user: role, password: await openLogin(this.keyring, tenantId, placed.loginSecret), generation },
    };
  }
}
