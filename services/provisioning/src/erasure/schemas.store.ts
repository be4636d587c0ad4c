import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import { Isolation } from '@tenantry/contracts/values';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { TenantStore } from '@tenantry/service/tenant-store';
import { leftInPlace } from '@tenantry/tenancy/left-in-place';
import { alone } from '@tenantry/tenancy/move/alone';
import { dropMove, dropNotes } from '@tenantry/tenancy/move/drop';
import { CONTROL_PLANE_DATABASE, placementFor } from '@tenantry/tenancy/names';
import type { PlaceContext } from '@tenantry/tenancy/place-context';
import type { Placement } from '@tenantry/tenancy/placement';
import { dropPlace } from '@tenantry/tenancy/provision-schema';
import { DEFAULT_SERVER, isControlPlane } from '@tenantry/tenancy/servers';
import { everIn, type Place, type PlacementState, placement, unplace } from '../placement/placement.js';
import { systemCommand } from '../saga/system-command.js';

const controlPlane = { server: DEFAULT_SERVER, database: CONTROL_PLANE_DATABASE };

/** Where the tenant lives: its rows, schemas, database and role, and the record of it. */
@Injectable()
export class TenantSchemas extends TenantStore {
  readonly store = 'schemas';
  readonly query =
    'the catalogue for schemas, roles and databases of the tenant’s names, on every server that it was on; rows of all shared tables; placements, gates and ledgers';
  private readonly places: PlaceContext;

  constructor(
    private readonly log: TenantLog,
    database: Database,
    environment: Environment,
    keyring: Keyring,
  ) {
    super();
    this.places = { pool: database.pool, url: environment.values.TENANTRY_POSTGRES_URL, keys: keyring };
  }

  /** Not while a step of a move is at work there: it would make again what is dropped. */
  override async erase(tenantId: string): Promise<void> {
    const done = await alone(this.places, tenantId, () => this.eraseAlone(tenantId));
    if (done === null) throw new DomainError('placement.closed', { retryAfterSeconds: 1 });
  }

  private async eraseAlone(tenantId: string): Promise<void> {
    const { state } = await this.log.load(placement, { tenant: tenantId });
    const elsewhere = await this.elsewhere(tenantId);
    await dropNotes(this.places, tenantId, [controlPlane, ...elsewhere.filter(({ isolation }) => isolation !== 'isolated')]);
    if (state.placed) await this.drop(tenantId, state);
    // Something was found nevertheless: wherever the tenant may have been, each is a look where there is nothing.
    else {
      const { generation } = state;
      for (const { isolation, server, database } of elsewhere)
        await dropPlace(this.places, placementFor(tenantId, isolation, { generation, server, database }));
      for (const isolation of Isolation.options) await dropPlace(this.places, placementFor(tenantId, isolation, { generation }));
    }
    const command = systemCommand(derivedId('erase', tenantId, 'place', state.generation));
    await this.log.transact(placement, { tenant: tenantId, command }, unplace);
  }

  /** The place; or, where a move has not come to its end and nobody goes on with it, both: the log need not know at which the tenant lives. */
  private async drop(tenantId: string, { placed: _, moving, ...at }: Extract<PlacementState, { placed: true }>): Promise<void> {
    const place = (of: Place): Placement => ({ tenantId, ...of, ready: false });
    if (moving === null) await dropPlace(this.places, place(at));
    else await dropMove(this.places, { from: place(moving.from), to: place(moving.to) });
  }

  override async count(tenantId: string): Promise<number> {
    const { state } = await this.log.load(placement, { tenant: tenantId });
    return (state.placed ? 1 : 0) + (await leftInPlace(this.places, tenantId, await this.elsewhere(tenantId)));
  }

  /** Where it has ever lived, and at which levels, other than in the control plane's database or in one of its own beside it. */
  private async elsewhere(tenantId: string) {
    const { state } = await this.log.load(everIn, { tenant: tenantId });
    return state.filter((place) => !isControlPlane(place) && !(place.isolation === 'isolated' && place.server === DEFAULT_SERVER));
  }
}
