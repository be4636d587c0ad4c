import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { getDatabaseLogin } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { openLogin } from '@tenantry/tenancy/login-secret';
import type { Placement } from '@tenantry/tenancy/placement';
import { Placements } from '@tenantry/tenancy/placements';
import { databasePassword, isControlPlane, loginOf } from '@tenantry/tenancy/servers';

@Controller()
export class DatabaseLoginRpc {
  private readonly placements: Placements;
  constructor(
    private readonly database: Database,
    private readonly keyring: Keyring,
  ) {
    this.placements = new Placements(database.pool, 0);
  }

  @Handles(getDatabaseLogin)
  async handle({ tenantId }: Call<typeof getDatabaseLogin>): Reply<typeof getDatabaseLogin> {
    const placed = await this.placements.find(tenantId, true);
    if (!placed?.placement.ready) throw new DomainError('placement.not_found');
    // Of a tenant that is on its way to another database too: its connections are opened ahead, and it may have arrived already.
    const others = [placed.placement, placed.next].filter((place): place is Placement => place !== null && !isControlPlane(place));
    const [login, next = null] = await Promise.all(others.map((place) => this.login(place, placed.loginSecret)));
    if (!login)
      throw new DomainError('placement.not_found', {
        detail: 'The tenant lives in the control plane’s database, which has no login of its own.',
      });
    return { status: 200, body: { ...login, next } };
  }

  private async login(place: Placement, loginSecret: string | null) {
    const { database, generation } = place;
    return { database, user: loginOf(place), password: await this.password(place, loginSecret), generation };
  }

  private async password(place: Placement, loginSecret: string | null): Promise<string> {
    if (place.isolation !== 'isolated') return databasePassword(this.database.pool, this.keyring, place);
    if (loginSecret === null) throw new DomainError('placement.not_found');
    return openLogin(this.keyring, place.tenantId, loginSecret);
  }
}
