import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { AppSessions } from '@tenantry/tenancy/app-sessions';
import type { AppContext } from '@tenantry/tenancy/place-context';
import type { Placement } from '@tenantry/tenancy/placement';
import { createPlace, dropPlace } from '@tenantry/tenancy/provision-schema';
import { Tenants } from '@tenantry/tenancy/tenants';
import { placement } from '../../placement/placement.js';
import { Step, type StepContext } from '../step.js';

/** Makes the place: rows, schema or database, with its role. Only provisioning runs DDL. */
@Injectable()
export class IsolateStep extends Step {
  readonly name = 'isolate';
  private readonly places: AppContext;

  constructor(
    private readonly log: TenantLog,
    private readonly tenants: Tenants,
    database: Database,
    environment: Environment,
    keyring: Keyring,
    app: AppSessions,
  ) {
    super();
    this.places = { pool: database.pool, url: environment.values.TENANTRY_POSTGRES_URL, keys: keyring, app };
  }

  async run({ tenantId }: StepContext): Promise<void> {
    const place = await this.placed(tenantId);
    if (!place) throw new DomainError('placement.not_found');
    await createPlace(this.places, place);
    await this.tenants.placement(tenantId, { fresh: true });
  }

  override async undo({ tenantId }: StepContext): Promise<void> {
    const place = await this.placed(tenantId);
    if (place) await dropPlace(this.places, place);
  }

  private async placed(tenantId: string): Promise<Placement | null> {
    const { state } = await this.log.load(placement, { tenant: tenantId });
    if (!state.placed) return null;
    const { placed: _, moving: __, ...place } = state;
    return { tenantId, ...place, ready: false };
  }
}
