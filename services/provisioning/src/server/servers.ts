import { Injectable } from '@nestjs/common';
import { invalidField } from '@tenantry/contracts/errors';
import type { Server } from '@tenantry/contracts/platform/servers';
import { Isolation } from '@tenantry/contracts/values';
import { Keyring } from '@tenantry/crypto/keyring';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { CONTROL_PLANE_DATABASE } from '@tenantry/tenancy/names';
import type { PlaceContext } from '@tenantry/tenancy/place-context';
import { registerServer } from '@tenantry/tenancy/register-server';
import { DEFAULT_SERVER } from '@tenantry/tenancy/servers';

interface Row {
  name: string;
  url: string | null;
  region: string | null;
  capacity: number | null;
  ready: boolean;
  tenants: number;
  /** Levels that one of its databases takes. */
  accepts: Isolation[];
}

/** Servers that tenants live on. */
@Injectable()
export class Servers {
  private readonly places: PlaceContext;

  constructor(database: Database, environment: Environment, keyring: Keyring) {
    this.places = { pool: database.pool, url: environment.values.TENANTRY_POSTGRES_URL, keys: keyring };
  }

  async list(): Promise<Server[]> {
    const { rows } = await this.places.pool.query<Row>(
      `SELECT name, url, region, capacity, ready,
         ARRAY(SELECT DISTINCT unnest(accepts) FROM tenancy.databases d WHERE d.server = s.name AND d.ready)::text[] AS accepts, (SELECT count(*)::int FROM tenancy.server_places p WHERE p.server = s.name) AS tenants
       FROM tenancy.servers s ORDER BY name`,
    );
    return rows.map(view);
  }

  /** Null where it is for all regions. */
  async regionOf(server: string): Promise<string | null> {
    const { rows } = await this.places.pool.query<{ region: string | null }>('SELECT region FROM tenancy.servers WHERE name = $1', [
      server,
    ]);
    return rows[0]?.region ?? null;
  }

  /** @throws DomainError `request.invalid`, `server.differs`, `server.taken` */
  async put(
    name: string,
    url: string | undefined,
    about: { region?: string | null; capacity?: number | null },
  ): Promise<{ created: boolean }> {
    const { region, capacity } = about;
    if (url !== undefined && name === DEFAULT_SERVER)
      throw invalidField('url', 'not_default', 'the control plane’s own server is where it is; leave the url out');
    const { created } = url === undefined ? { created: false } : await registerServer(this.places, name, url);
    const { rowCount } = await this.places.pool.query(
      `UPDATE tenancy.servers SET region = CASE WHEN $2 THEN $3 ELSE region END, capacity = CASE WHEN $4 THEN $5::integer ELSE capacity END
       WHERE name = $1`,
      [name, region !== undefined, region ?? null, capacity !== undefined, capacity ?? null],
    );
    if (!rowCount) throw invalidField('url', 'required', 'is needed for a server that is not registered yet');
    return { created };
  }
}

function view({ name, url, region, capacity, ready, tenants, accepts }: Row): Server {
  const at = url === null ? null : new URL(url);
  return {
    ...{ name, region, capacity, tenants, ready },
    host: at?.hostname ?? null,
    port: at ? Number(at.port) : null,
    database: at ? decodeURIComponent(at.pathname.slice(1)) : CONTROL_PLANE_DATABASE,
    isolations: Isolation.options.filter((level) => level === 'isolated' || accepts.includes(level)),
  };
}
