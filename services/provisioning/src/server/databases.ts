import { Injectable } from '@nestjs/common';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { TenantDatabase } from '@tenantry/contracts/platform/servers';
import { Keyring } from '@tenantry/crypto/keyring';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import type { PlaceContext } from '@tenantry/tenancy/place-context';
import { registerDatabase } from '@tenantry/tenancy/register-database';
import type { ServerRoom } from '@tenantry/tenancy/server-choice';
import { readRooms } from '@tenantry/tenancy/server-rooms';
import { isControlPlane } from '@tenantry/tenancy/servers';

type Terms = { capacity?: number | null; accepts?: TenantDatabase['accepts'] };

/** Databases that many tenants have their schemas in. */
@Injectable()
export class Databases {
  private readonly places: PlaceContext;

  constructor(database: Database, environment: Environment, keyring: Keyring) {
    this.places = { pool: database.pool, url: environment.values.TENANTRY_POSTGRES_URL, keys: keyring };
  }

  /** @throws DomainError `server.not_found` */
  async list(server: string): Promise<TenantDatabase[]> {
    const { pool } = this.places;
    const [servers, { rows }] = await Promise.all([
      pool.query('SELECT FROM tenancy.servers WHERE name = $1', [server]),
      pool.query<TenantDatabase>(
        `SELECT server, name, capacity, accepts, ready, (SELECT count(*)::int FROM tenancy.database_places p
           WHERE p.server = d.server AND p.database = d.name) AS tenants
         FROM tenancy.databases d WHERE server = $1 ORDER BY name`,
        [server],
      ),
    ]);
    if (servers.rowCount === 0) throw new DomainError('server.not_found');
    return rows;
  }

  /** Servers with their databases, and what room there is. */
  rooms(): Promise<ServerRoom[]> {
    return readRooms(this.places.pool);
  }

  /** What is not named stays as it is. @throws DomainError `request.invalid`, `server.not_found`, `database.taken` */
  async put(server: string, name: string, { capacity, accepts }: Terms): Promise<{ created: boolean }> {
    if (accepts?.includes('shared') && !isControlPlane({ server, database: name }))
      throw invalidField(
        'accepts',
        'takes_level',
        'shared tenants live in the control plane’s database; a further one takes dedicated ones',
      );
    const first = { capacity: capacity ?? null, accepts: accepts ?? ['dedicated' as const] };
    const { created } = await registerDatabase(this.places, { server, name }, first);
    await this.places.pool.query(
      `UPDATE tenancy.databases SET capacity = CASE WHEN $3 THEN $4::integer ELSE capacity END, accepts = coalesce($5::varchar[], accepts)
       WHERE server = $1 AND name = $2`,
      [server, name, capacity !== undefined, capacity ?? null, accepts ? [...new Set(accepts)] : null],
    );
    return { created };
  }
}
