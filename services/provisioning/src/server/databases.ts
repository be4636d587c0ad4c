import { Injectable } from '@nestjs/common';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { TenantDatabase } from '@tenantry/contracts/platform/servers';
import { Keyring } from '@tenantry/crypto/keyring';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { AppSessions } from '@tenantry/tenancy/app-sessions';
import { sharedRole } from '@tenantry/tenancy/names';
import type { AppContext } from '@tenantry/tenancy/place-context';
import { registerDatabase } from '@tenantry/tenancy/register-database';
import type { ServerRoom } from '@tenantry/tenancy/server-choice';
import { readRooms } from '@tenantry/tenancy/server-rooms';
import { isControlPlane } from '@tenantry/tenancy/servers';
import { addShared } from '@tenantry/tenancy/shared-elsewhere';

type Terms = { capacity?: number | null; accepts?: TenantDatabase['accepts'] };

const LONGEST_NAME = 63;

/** Databases that many tenants have their schemas in. */
@Injectable()
export class Databases {
  private readonly places: AppContext;

  constructor(database: Database, environment: Environment, keyring: Keyring, app: AppSessions) {
    this.places = { pool: database.pool, url: environment.values.TENANTRY_POSTGRES_URL, keys: keyring, app };
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
    const isShared = accepts?.includes('shared') && !isControlPlane({ server, database: name });
    if (isShared && Buffer.byteLength(sharedRole(name)) > LONGEST_NAME)
      throw invalidField(
        'accepts',
        'takes_level',
        `shared tenants have the role ${sharedRole(name)} there, which PostgreSQL could not name: take a database with a shorter name`,
      );
    // Shared tenants may come once their tables are there.
    const first = { capacity: capacity ?? null, accepts: accepts?.filter((level) => level !== 'shared') ?? ['dedicated' as const] };
    const { created } = await registerDatabase(this.places, { server, name }, first);
    if (isShared) await addShared(this.places, { server, database: name });
    await this.places.pool.query(
      `UPDATE tenancy.databases SET capacity = CASE WHEN $3 THEN $4::integer ELSE capacity END, accepts = coalesce($5::varchar[], accepts)
       WHERE server = $1 AND name = $2`,
      [server, name, capacity !== undefined, capacity ?? null, accepts ? [...new Set(accepts)] : null],
    );
    return { created };
  }
}
