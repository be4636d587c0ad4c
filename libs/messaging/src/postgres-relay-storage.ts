import type { Pool } from 'pg';
import type { StoredMessage, StreamState } from './broker.js';
import { eventStream } from './event-stream.js';
import { buckets as allBuckets } from './leases.js';
import { type Audited, type Finding, type Learnt, type Progress, RelayStorage, type Renewal, type StreamNow } from './relay-storage.js';
import { schemaName } from './sql.js';
import type { Mark, StreamRecord } from './stream-check.js';
import { type Behind, Sweep } from './sweep.js';

const pageSize = 2_000;
/** The bucket of a row's `tenant_id`, as `bucketOf` counts it. */
const bucketSql = (column: string): string => `get_byte(uuid_send(${column}), 15) % ${allBuckets}`;

/** In the relay's own schema (`services/relay/migrations`); reads the logs' tables. */
export class PostgresRelayStorage extends RelayStorage {
  private readonly schema: string;
  private readonly sweep: Sweep;

  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    super();
    this.schema = schemaName(schema);
    this.sweep = new Sweep(pool, `${this.schema}.published`, '', []);
  }

  override async stream(owner: string): Promise<StreamNow> {
    const { rows } = await this.pool.query<{
      epoch: string | null;
      created: string;
      leader: string;
      deleted: string;
      seen: string;
      marks: Mark[];
      database: string;
      recorded: string;
    }>(
      `SELECT s.epoch, s.created, s.leader, s.deleted, s.seen, s.marks, pg_postmaster_start_time()::text AS database,
              coalesce((SELECT sequence FROM ${this.schema}.acknowledged WHERE owner = $2), 0) AS recorded
       FROM (SELECT 1) one LEFT JOIN ${this.schema}.streams s ON s.name = $1`,
      [eventStream, owner],
    );
    const row = rows[0];
    if (!row) throw new Error('A query that gives one row gave none');
    const { created, leader, marks } = row;
    const record: StreamRecord | null =
      row.epoch === null
        ? null
        : { epoch: Number(row.epoch), created, leader, deleted: Number(row.deleted), seen: Number(row.seen), marks };
    return { record, database: row.database, recorded: Number(row.recorded) };
  }

  override async begin(state: StreamState, marks: Mark[]): Promise<void> {
    await this.pool.query(
      `INSERT INTO ${this.schema}.streams (name, epoch, created, leader, deleted, marks, seen) VALUES ($1, 1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
      [eventStream, state.created, state.leader, state.deleted, JSON.stringify(marks), state.lastSequence],
    );
  }

  override async observe(epoch: number, { deleted, lastSequence }: StreamState, marks: Mark[] | null): Promise<void> {
    await this.pool.query(
      `UPDATE ${this.schema}.streams SET deleted = $3, marks = coalesce($4::jsonb, marks), seen = greatest(seen, $5)
       WHERE name = $1 AND epoch = $2`,
      [eventStream, epoch, deleted, marks && JSON.stringify(marks), lastSequence],
    );
  }

  override async newEpoch(epoch: number, state: StreamState, marks: Mark[]): Promise<void> {
    await this.pool.query(
      `WITH begun AS (
         UPDATE ${this.schema}.streams SET epoch = epoch + 1, created = $3, leader = $4, deleted = $5, marks = $6, seen = $7
         WHERE name = $1 AND epoch = $2 RETURNING 1)
       DELETE FROM ${this.schema}.acknowledged WHERE EXISTS (SELECT FROM begun)`,
      [eventStream, epoch, state.created, state.leader, state.deleted, JSON.stringify(marks), state.lastSequence],
    );
  }

  override async acknowledged(epoch: number): Promise<StoredMessage[]> {
    const { rows } = await this.pool.query<{ sequence: string; tenant_id: string; position: string; event_id: string }>(
      `SELECT sequence, tenant_id, position, event_id FROM ${this.schema}.acknowledged WHERE epoch = $1 ORDER BY sequence DESC LIMIT 100`,
      [epoch],
    );
    return rows.map((row) => ({
      sequence: Number(row.sequence),
      tenantId: row.tenant_id,
      position: Number(row.position),
      eventId: row.event_id,
    }));
  }

  override async forgetAcknowledged(below: number): Promise<void> {
    await this.pool.query(
      `DELETE FROM ${this.schema}.acknowledged a WHERE sequence < $1
       AND NOT EXISTS (SELECT FROM ${this.schema}.members m WHERE m.owner = a.owner AND m.until > now())`,
      [below],
    );
  }

  override async learn(tenantIds: string[]): Promise<Learnt[]> {
    const { rows } = await this.pool.query<{
      tenant_id: string;
      position: string;
      event_id: string | null;
      rewritten: boolean;
      renewals: Renewal[];
    }>({
      name: `learn ${this.schema}`,
      text: `SELECT t.tenant_id, coalesce(p.position, -1) AS position, p.event_id,
          ${rewritten('t.tenant_id')} AS rewritten,
          (SELECT coalesce(json_agg(json_build_object('n', r.n, 'from', r.from_position, 'to', r.to_position) ORDER BY r.from_position), '[]')
           FROM ${this.schema}.renewals r WHERE r.tenant_id = t.tenant_id) AS renewals
        FROM unnest($1::uuid[]) AS t(tenant_id) LEFT JOIN ${this.schema}.published p USING (tenant_id)`,
      values: [tenantIds],
    });
    return rows.map((row) => ({
      tenantId: row.tenant_id,
      published: { position: Number(row.position), eventId: row.event_id },
      renewals: row.renewals,
      rewritten: row.rewritten,
    }));
  }

  override async fitting(requests: { tenantId: string; from: number }[], limit: number, maxBytes: number): Promise<number[]> {
    const { rows } = await this.pool.query<{ fitting: number }>({
      name: 'fitting',
      // What is stored compressed (from 2 KB on) is longer when it is read, up to 256 times; how much, only reading would tell.
      text: `SELECT (SELECT count(*) FILTER (WHERE s.upto <= $4) FROM (
          SELECT sum(least(262144, pg_column_size(e.data) * CASE WHEN pg_column_compression(e.data) IS NULL THEN 1 ELSE 256 END))
            OVER (ORDER BY e.position) AS upto
          FROM (SELECT e.position, e.data FROM log.events e WHERE e.tenant_id = r.tenant_id AND e.position >= r.since
                ORDER BY e.position LIMIT $3) e) s)::int AS fitting
        FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS r(tenant_id, since, n) ORDER BY r.n`,
      values: [requests.map(({ tenantId }) => tenantId), requests.map(({ from }) => from), limit, maxBytes],
    });
    return rows.map((row) => row.fitting);
  }

  override async record({ epoch, owner, acknowledged, advances, renewed }: Progress): Promise<Set<string>> {
    const moves = advances
      .map(({ tenantId, from, to }) => ({
        tenant_id: tenantId,
        from_position: from.position,
        from_event: from.eventId,
        position: to.position,
        event_id: to.eventId,
      }))
      .sort((a, b) => (a.tenant_id < b.tenant_id ? -1 : 1));
    const renewals = renewed.map(({ tenantId, n, from, next, withAdvance }) => ({
      tenant_id: tenantId,
      n,
      from_position: from,
      next,
      with_advance: withAdvance,
    }));
    const { rows } = await this.pool.query<{ tenant_id: string }>({
      name: `record ${this.schema}`,
      text: `WITH epoch AS (SELECT epoch FROM ${this.schema}.streams WHERE name = $1 AND epoch = $2 FOR SHARE),
        given AS (
          SELECT g.* FROM json_to_recordset($3::json) AS g(tenant_id uuid, from_position bigint, from_event uuid, position bigint, event_id uuid), epoch),
        again AS (
          SELECT g.* FROM json_to_recordset($4::json) AS g(tenant_id uuid, n bigint, from_position bigint, next bigint, with_advance boolean), epoch),
        moved AS (
          UPDATE ${this.schema}.published p SET position = g.position, event_id = g.event_id FROM given g
          WHERE p.tenant_id = g.tenant_id AND p.position = g.from_position AND p.event_id IS NOT DISTINCT FROM g.from_event RETURNING p.tenant_id),
        begun AS (
          INSERT INTO ${this.schema}.published (tenant_id, position, event_id)
          SELECT tenant_id, position, event_id FROM given WHERE from_position = -1 ORDER BY tenant_id ON CONFLICT DO NOTHING RETURNING tenant_id),
        counted AS (
          SELECT * FROM again WHERE NOT with_advance OR tenant_id IN (SELECT tenant_id FROM moved UNION ALL SELECT tenant_id FROM begun)),
        shortened AS (
          UPDATE ${this.schema}.renewals r SET from_position = g.next FROM counted g
          WHERE r.tenant_id = g.tenant_id AND r.n = g.n AND r.from_position = g.from_position AND g.next <= r.to_position RETURNING r.tenant_id),
        ended AS (
          DELETE FROM ${this.schema}.renewals r USING counted g
          WHERE r.tenant_id = g.tenant_id AND r.n = g.n AND r.from_position = g.from_position AND g.next > r.to_position RETURNING r.tenant_id),
        evidence AS (
          INSERT INTO ${this.schema}.acknowledged AS a (owner, epoch, sequence, tenant_id, position, event_id)
          SELECT $5, $2, $6, $7, $8, $9 FROM epoch WHERE $6::bigint IS NOT NULL
          ON CONFLICT (owner) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence, tenant_id = excluded.tenant_id,
            position = excluded.position, event_id = excluded.event_id
          WHERE a.epoch <> excluded.epoch OR a.sequence < excluded.sequence)
        SELECT tenant_id FROM moved UNION ALL SELECT tenant_id FROM begun UNION ALL SELECT tenant_id FROM shortened UNION ALL SELECT tenant_id FROM ended`,
      values: [
        eventStream,
        epoch,
        JSON.stringify(moves),
        JSON.stringify(renewals),
        owner,
        acknowledged?.sequence ?? null,
        acknowledged?.tenantId ?? null,
        acknowledged?.position ?? null,
        acknowledged?.eventId ?? null,
      ],
    });
    return new Set(rows.map((row) => row.tenant_id));
  }

  override async *behind(withinMs?: number): AsyncGenerator<Behind[]> {
    yield* this.sweep.behind(withinMs);
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const { rows } = await this.pool.query<{ tenant_id: string; position: string }>(
        `SELECT DISTINCT p.tenant_id, p.position FROM ${this.schema}.renewals r JOIN ${this.schema}.published p USING (tenant_id)
         WHERE r.from_position <= p.position AND p.tenant_id > $1 ORDER BY p.tenant_id LIMIT ${pageSize}`,
        [after],
      );
      if (rows.length > 0) yield rows.map((row) => ({ tenantId: row.tenant_id, head: Number(row.position) }));
      if (rows.length < pageSize) return;
      after = rows.at(-1)?.tenant_id as string;
    }
  }

  override async auditedBuckets(epoch: number): Promise<Set<number>> {
    const { rows } = await this.pool.query<{ bucket: number }>(`SELECT bucket FROM ${this.schema}.leases WHERE epoch = $1`, [epoch]);
    return new Set(rows.map((row) => row.bucket));
  }

  override async strangers(messages: StoredMessage[]): Promise<StoredMessage[]> {
    if (messages.length === 0) return [];
    const { rows } = await this.pool.query<{ n: string }>({
      name: 'strangers',
      // A scalar each: found by the key, whatever the statistics say.
      text: `SELECT m.n FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) WITH ORDINALITY AS m(tenant_id, position, id, n)
             WHERE (SELECT e.id FROM log.events e WHERE e.tenant_id = m.tenant_id AND e.position = m.position) IS DISTINCT FROM m.id`,
      values: [messages.map(({ tenantId }) => tenantId), messages.map(({ position }) => position), messages.map(({ eventId }) => eventId)],
    });
    return rows.map(({ n }) => messages[Number(n) - 1] as StoredMessage);
  }

  override async *audited(buckets: number[], retentionMs: number): AsyncGenerator<Audited[]> {
    let after = '';
    for (;;) {
      const { rows } = await this.pool.query<{
        tenant_id: string;
        position: string;
        event_id: string | null;
        head: string;
        rewritten: boolean;
        first_kept: string;
      }>(
        `SELECT p.tenant_id, p.position, p.event_id, coalesce(h.position, -1) AS head, ${rewritten('p.tenant_id')} AS rewritten,
           CASE WHEN h.recorded_at <= now() - $3 * interval '1 ms' THEN p.position + 1
           ELSE coalesce((SELECT e.position FROM log.events e WHERE e.tenant_id = p.tenant_id AND e.position <= p.position
                          AND e.recorded_at <= now() - $3 * interval '1 ms' ORDER BY e.position DESC LIMIT 1), -1) + 1 END AS first_kept
         FROM ${this.schema}.published p LEFT JOIN log.heads h ON h.tenant_id = p.tenant_id
         WHERE ${bucketSql('p.tenant_id')} = ANY ($1::int[]) AND ($2 = '' OR p.tenant_id > nullif($2, '')::uuid)
         ORDER BY p.tenant_id LIMIT ${pageSize}`,
        [buckets, after, retentionMs],
      );
      yield rows.map((row) => ({
        tenantId: row.tenant_id,
        published: { position: Number(row.position), eventId: row.event_id },
        head: Number(row.head),
        rewritten: row.rewritten,
        firstKept: Number(row.first_kept),
      }));
      if (rows.length < pageSize) return;
      after = rows.at(-1)?.tenant_id as string;
    }
  }

  override async finishAudit(epoch: number, owner: string, buckets: number[], findings: Finding[]): Promise<boolean> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const { rowCount: current } = await client.query(`SELECT FROM ${this.schema}.streams WHERE name = $1 AND epoch = $2 FOR SHARE`, [
        eventStream,
        epoch,
      ]);
      const { rowCount: marked } = await client.query(
        `UPDATE ${this.schema}.leases SET epoch = $1 WHERE owner = $2 AND until > now() AND bucket = ANY ($3::int[])`,
        [epoch, owner, buckets],
      );
      if (current !== 1 || marked !== buckets.length) {
        await client.query('ROLLBACK');
        return false;
      }
      await client.query(`DELETE FROM ${this.schema}.renewals WHERE ${bucketSql('tenant_id')} = ANY ($1::int[])`, [buckets]);
      for (let at = 0; at < findings.length; at += pageSize) {
        const page = findings.slice(at, at + pageSize);
        const back = page.flatMap(({ tenantId, published, backTo }) =>
          backTo === undefined ? [] : [{ tenant_id: tenantId, from_position: published.position, position: backTo }],
        );
        const renewals = page.flatMap(({ tenantId, renewals }) =>
          renewals.map(({ from, to }) => ({ tenant_id: tenantId, from_position: from, to_position: to })),
        );
        await client.query(
          `UPDATE ${this.schema}.published p SET position = b.position,
             event_id = (SELECT e.id FROM log.events e WHERE e.tenant_id = b.tenant_id AND e.position = b.position)
           FROM json_to_recordset($1::json) AS b(tenant_id uuid, from_position bigint, position bigint)
           WHERE p.tenant_id = b.tenant_id AND p.position = b.from_position`,
          [JSON.stringify(back)],
        );
        await client.query(
          `INSERT INTO ${this.schema}.renewals (tenant_id, n, from_position, to_position)
           SELECT tenant_id, $1, from_position, to_position
           FROM json_to_recordset($2::json) AS r(tenant_id uuid, from_position bigint, to_position bigint)`,
          [epoch, JSON.stringify(renewals)],
        );
      }
      await client.query('COMMIT');
      return true;
    } catch (error) {
      broken = error as Error;
      throw error;
    } finally {
      // A connection with a transaction half done is of no use to anybody.
      client.release(broken);
    }
  }
}

/** Of the row `p` of `published`: whether the log has another event at that position, or ends before it. */
const rewritten = (tenantId: string): string => `coalesce(p.position, -1) >= 0 AND (
  (SELECT e.id FROM log.events e WHERE e.tenant_id = ${tenantId} AND e.position = p.position) IS DISTINCT FROM p.event_id
  AND (p.event_id IS NOT NULL OR NOT EXISTS (SELECT FROM log.events e WHERE e.tenant_id = ${tenantId} AND e.position = p.position)))`;
