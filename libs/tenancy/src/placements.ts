import type { Pool } from 'pg';
import type { Placement } from './placement.js';
import { isUuid } from './sql.js';

/** A placement with the encrypted password of an isolated tenant's login. */
export interface PlacedLogin {
  placement: Placement;
  loginSecret: string | null;
  /** Where the tenant goes next. It lives there from the moment at which it is refused where it was for an old generation. */
  next: Placement | null;
}

interface Row {
  tenant_id: string;
  isolation: Placement['isolation'];
  server: string;
  database: string;
  schema: string;
  app_schema: string;
  role: string;
  generation: string;
  worker_group: string;
  ready: boolean;
  login_secret: string | null;
  next: (Pick<Row, 'isolation' | 'server' | 'database' | 'schema' | 'app_schema' | 'role'> & { generation: number }) | null;
}

/**
 * Reads `tenancy.placements`. What is asked for in the same turn becomes one query. Only ready placements are kept:
 * who waits for one sees it as soon as it is there. A kept one may be old; the gate refuses it then.
 */
export class Placements {
  readonly #kept = new Map<string, { found: PlacedLogin; until: number }>();
  #asked: Map<string, PromiseWithResolvers<PlacedLogin | null>> | undefined;

  constructor(
    private readonly pool: Pool,
    private readonly ttlMs: number,
    /** Who opens isolated tenants' passwords itself reads them along. */
    private readonly secrets = true,
    private readonly max = 20_000,
  ) {}

  async find(tenantId: string, fresh = false): Promise<PlacedLogin | null> {
    if (!isUuid(tenantId)) return null;
    const kept = this.#kept.get(tenantId);
    if (!fresh && kept && kept.until > performance.now()) return kept.found;
    const found = await this.#read(tenantId);
    // Of two that read at the same time, the one with the older answer may come last.
    const newest = this.#kept.get(tenantId)?.found;
    if (found && newest && newest.placement.generation > found.placement.generation) return newest;
    this.#kept.delete(tenantId);
    if (found?.placement.ready) {
      this.#kept.set(tenantId, { found, until: performance.now() + this.ttlMs });
      // A Map keeps the order of insertion: what nobody believes any more is at its front.
      for (const [oldest, { until }] of this.#kept) {
        if (this.#kept.size <= this.max && until > performance.now()) break;
        this.#kept.delete(oldest);
      }
    }
    return found;
  }

  /** Found out at the place itself, before the placement says so. */
  keep(found: PlacedLogin): void {
    const { tenantId, generation } = found.placement;
    if ((this.#kept.get(tenantId)?.found?.placement.generation ?? 0) < generation)
      this.#kept.set(tenantId, { found, until: performance.now() + this.ttlMs });
  }

  #read(tenantId: string): Promise<PlacedLogin | null> {
    if (!this.#asked) {
      const asked = new Map<string, PromiseWithResolvers<PlacedLogin | null>>();
      this.#asked = asked;
      setImmediate(() => {
        this.#asked = undefined;
        this.#query([...asked.keys()]).then(
          (found) => {
            for (const [id, answer] of asked) answer.resolve(found.get(id) ?? null);
          },
          (error: unknown) => {
            for (const answer of asked.values()) answer.reject(error);
          },
        );
      });
    }
    let answer = this.#asked.get(tenantId);
    if (!answer) {
      answer = Promise.withResolvers();
      this.#asked.set(tenantId, answer);
    }
    return answer.promise;
  }

  async #query(tenantIds: string[]): Promise<Map<string, PlacedLogin>> {
    const { rows } = await this.pool.query<Row>({
      name: this.secrets ? 'tenancy-placements' : 'tenancy-places',
      text: `SELECT tenant_id, isolation, server, database, schema, app_schema, role, generation, worker_group, ready, next, ${this.secrets ? 'login_secret' : 'NULL AS login_secret'}
             FROM tenancy.placements WHERE tenant_id = ANY ($1::uuid[])`,
      values: [tenantIds],
    });
    return new Map(
      rows.map((row) => {
        const placement = placementOf(row, row);
        const next = row.next && placementOf(row, row.next);
        return [placement.tenantId, { placement, loginSecret: row.login_secret, next }];
      }),
    );
  }
}

const placementOf = (
  { tenant_id: tenantId, worker_group: workerGroup, ready }: Row,
  { app_schema: appSchema, generation, ...at }: Omit<NonNullable<Row['next']>, 'generation'> & { generation: number | string },
): Placement => {
  const { isolation, server, database, schema, role } = at;
  return { tenantId, isolation, server, database, schema, appSchema, role, generation: Number(generation), workerGroup, ready };
};
