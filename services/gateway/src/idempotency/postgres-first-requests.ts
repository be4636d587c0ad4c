import { Injectable } from '@nestjs/common';
import { Database } from '@tenantry/service/database';
import { type Claim, FirstRequests } from './first-requests.js';
import type { FirstRequest } from './verdict.js';

interface Row {
  request_hash: string;
  state: FirstRequest['state'];
  status: number | null;
  headers: Record<string, string> | null;
  body: string | null;
  sealed_for: string | null;
}

/** Table `gateway.idempotency`. A keyed request costs two statements, `claim` and `finish`, and one more for every second and a half that it takes. */
@Injectable()
export class PostgresFirstRequests extends FirstRequests {
  constructor(private readonly database: Database) {
    super();
  }

  override async claim({ commandId, requestHash, holder, leaseMs }: Claim): Promise<FirstRequest | null> {
    for (;;) {
      const { rows } = await this.database.pool.query<Row & { mine: boolean }>({
        name: 'idempotency claim',
        text: `
          WITH claimed AS (
            INSERT INTO gateway.idempotency AS i (command_id, request_hash, state, holder, lease_until, expires_at)
            VALUES ($1, $2, 'in_flight', $3, now() + $4 * interval '1 ms', now() + interval '1 day')
            ON CONFLICT (command_id) DO UPDATE
              SET request_hash = excluded.request_hash, state = 'in_flight', holder = excluded.holder, lease_until = excluded.lease_until,
                  expires_at = excluded.expires_at, status = NULL, headers = NULL, body = NULL, sealed_for = NULL
              WHERE i.expires_at < now() OR (i.state = 'in_flight' AND i.lease_until < now() AND i.request_hash = excluded.request_hash)
            RETURNING 1)
          SELECT true AS mine, NULL AS request_hash, NULL AS state, NULL::smallint AS status, NULL::jsonb AS headers, NULL AS body, NULL::uuid AS sealed_for
          FROM claimed
          UNION ALL
          SELECT false, request_hash, state, status, headers, body, sealed_for FROM gateway.idempotency
          WHERE command_id = $1 AND NOT EXISTS (SELECT FROM claimed)`,
        values: [commandId, requestHash, holder, leaseMs],
      });
      const [row] = rows;
      // Another request's row, committed after this statement began: it is seen by the next one.
      if (!row) continue;
      if (row.mine) return null;
      const { request_hash, state, status, headers, body, sealed_for } = row;
      return {
        requestHash: request_hash,
        state,
        answer: state === 'done' && status !== null ? { status, headers: headers ?? {}, body, sealedFor: sealed_for } : null,
      };
    }
  }

  override async prolong(commandId: string, holder: string, leaseMs: number): Promise<void> {
    await this.database.pool.query({
      name: 'idempotency prolong',
      text: `UPDATE gateway.idempotency SET lease_until = now() + $3 * interval '1 ms'
             WHERE command_id = $1 AND holder = $2 AND state = 'in_flight'`,
      values: [commandId, holder, leaseMs],
    });
  }

  override async finish(commandId: string, holder: string, answer: NonNullable<FirstRequest['answer']>, keepMs: number): Promise<void> {
    await this.database.pool.query({
      name: 'idempotency finish',
      text: `UPDATE gateway.idempotency
             SET state = 'done', status = $3, headers = $4, body = $5, sealed_for = $6, expires_at = now() + $7 * interval '1 ms'
             WHERE command_id = $1 AND holder = $2 AND state = 'in_flight'`,
      values: [commandId, holder, answer.status, JSON.stringify(answer.headers), answer.body, answer.sealedFor, keepMs],
    });
  }

  override async release(commandId: string, holder: string): Promise<void> {
    await this.database.pool.query({
      name: 'idempotency release',
      text: `DELETE FROM gateway.idempotency WHERE command_id = $1 AND holder = $2 AND state = 'in_flight'`,
      values: [commandId, holder],
    });
  }

  override async purge(limit: number): Promise<number> {
    const { rowCount } = await this.database.pool.query(
      `DELETE FROM gateway.idempotency WHERE command_id = ANY (ARRAY(
         SELECT command_id FROM gateway.idempotency WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))`,
      [limit],
    );
    return rowCount ?? 0;
  }
}
