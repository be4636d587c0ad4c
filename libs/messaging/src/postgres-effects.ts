import type { Pool } from 'pg';
import { type Claimed, EffectStore, type Ending } from './effect-store.js';
import { schemaName } from './sql.js';

interface Row {
  id: string;
  tenant_id: string;
  name: string;
  payload: unknown;
  causation_id: string;
  claims: number;
  failures: number;
}

/** `<schema>.effects`. */
export class PostgresEffects extends EffectStore {
  private readonly table: string;

  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    super();
    this.table = `${schemaName(schema)}.effects`;
  }

  override async claim(owner: string, free: { name: string; free: number }[], leaseMs: number): Promise<Claimed[]> {
    const { rows } = await this.pool.query<Row>({
      name: `claim ${this.table}`,
      text: `
        UPDATE ${this.table} e
        SET state = 'running', claims = e.claims + 1, owner = $4,
            lease_until = now() + $3 * interval '1 ms', next_attempt_at = now() + $3 * interval '1 ms'
        FROM unnest($1::text[], $2::int[]) AS n(name, free)
        CROSS JOIN LATERAL (
          SELECT id FROM ${this.table} d WHERE d.name = n.name AND d.state IN ('pending', 'running') AND d.next_attempt_at <= now()
          ORDER BY d.next_attempt_at LIMIT n.free FOR UPDATE SKIP LOCKED) due
        WHERE e.id = due.id
        RETURNING e.id, e.tenant_id, e.name, e.payload, e.causation_id, e.claims, e.failures`,
      values: [free.map(({ name }) => name), free.map((capacity) => capacity.free), leaseMs, owner],
    });
    return rows.map(({ tenant_id: tenantId, causation_id: causationId, ...row }) => ({ ...row, tenantId, causationId }));
  }

  override async record(endings: Ending[]): Promise<void> {
    await this.pool.query({
      name: `record ${this.table}`,
      text: `
        UPDATE ${this.table} e
        SET state = r.state, parked_at = CASE r.state WHEN 'parked' THEN now() END, lease_until = NULL, owner = NULL, last_error = r.error, failures = e.failures + r.failed, next_attempt_at = now() + r.delay * interval '1 ms'
        FROM json_to_recordset($1::json) AS r(id uuid, claims int, state text, delay int, error text, failed int)
        WHERE e.id = r.id AND e.claims = r.claims AND e.state = 'running'`,
      values: [
        JSON.stringify(
          endings.map(({ id, claims, state, delayMs, error, failed }) => ({
            id,
            claims,
            state,
            delay: Math.ceil(delayMs),
            failed: failed ? 1 : 0,
            error: error?.replaceAll('\0', '').slice(0, 4_000) ?? null,
          })),
        ),
      ],
    });
  }

  override async renew(claims: Pick<Claimed, 'id' | 'claims'>[], leaseMs: number): Promise<Pick<Claimed, 'id' | 'claims'>[]> {
    const { rows } = await this.pool.query<{ id: string; claims: number }>(
      `UPDATE ${this.table} e SET lease_until = now() + $2 * interval '1 ms', next_attempt_at = now() + $2 * interval '1 ms'
       FROM json_to_recordset($1::json) AS r(id uuid, claims int)
       WHERE e.id = r.id AND e.claims = r.claims AND e.state = 'running' RETURNING e.id, e.claims`,
      [JSON.stringify(claims), leaseMs],
    );
    return rows;
  }

  override async takeBack(owner: string): Promise<void> {
    await this.pool.query(`UPDATE ${this.table} SET next_attempt_at = now() WHERE state = 'running' AND owner = $1`, [owner]);
  }
}
