import type { ConsumerService, ConsumerView, Counts, ParkedView, RebuildItem } from '@tenantry/contracts/platform/consumers';
import type { Pool } from 'pg';
import type { Consumer } from './consumer.js';
import { schemaName } from './sql.js';

/** A log that hasn't moved for so long though there is something to apply is said to stand still. */
const stillAfter = '60 s';
const noPlace = 'The tenant has no place (yet): there are no tables to write to';
const still = 'Nothing was applied for a minute, though there is something to apply';

/** Of an erased tenant there is nothing to look after: what its consumers still read brings no rows back. */
const notErased = (row: string) => `NOT EXISTS (SELECT FROM tenancy.erased g WHERE g.tenant_id = ${row}.tenant_id)`;

interface ParkedRow {
  id: string;
  kind: ParkedView['kind'];
  consumer: string;
  tenant_id: string;
  position: string | null;
  type: string;
  error: string | null;
  attempts: number;
  parked_at: Date | null;
  next_retry_at: Date | null;
}

/** What an operator sees and does of a service's consumers. All of it is in tables: it doesn't matter which replica is asked. */
export class Oversight {
  private readonly schema: string;

  /** @param consumers of the service, both placements; asked for late, because the service's modules know them */
  constructor(
    private readonly pool: Pool,
    private readonly service: ConsumerService,
    schema: string,
    private readonly consumers: () => Consumer[],
  ) {
    this.schema = schemaName(schema);
  }

  /** In the order of consumer and tenant. */
  async list({
    after,
    limit,
    tenantId,
    state,
  }: {
    after: { consumer: string; tenantId: string } | null;
    limit: number;
    tenantId?: string | undefined;
    state?: ConsumerView['state'] | undefined;
  }): Promise<ConsumerView[]> {
    const consumers = this.consumers();
    const { rows } = await this.pool.query<{
      consumer: string;
      tenant_id: string;
      position: string;
      head: string;
      state: ConsumerView['state'];
      error: string | null;
    }>(
      `SELECT * FROM (
         SELECT c.consumer, h.tenant_id, coalesce(p.position, -1) AS position, h.position AS head,
                CASE WHEN k.tenant_id IS NOT NULL THEN 'parked'
                     WHEN c.placed AND l.ready IS NOT TRUE THEN 'stopped'
                     WHEN coalesce(p.position, -1) <> h.position AND h.recorded_at < now() - interval '${stillAfter}' THEN 'stopped'
                     ELSE 'running' END AS state,
                CASE WHEN k.tenant_id IS NOT NULL THEN k.error
                     WHEN c.placed AND l.ready IS NOT TRUE THEN '${noPlace}'
                     WHEN coalesce(p.position, -1) <> h.position AND h.recorded_at < now() - interval '${stillAfter}' THEN '${still}' END AS error
         FROM unnest($1::text[], $2::text[], $3::bool[]) AS c(consumer, version, placed)
         CROSS JOIN log.heads h
         LEFT JOIN ${this.schema}.hints p ON p.consumer = c.consumer AND p.tenant_id = h.tenant_id AND p.version = c.version
         LEFT JOIN ${this.schema}.parked k ON k.consumer = c.consumer AND k.tenant_id = h.tenant_id
         LEFT JOIN tenancy.placements l ON c.placed AND l.tenant_id = h.tenant_id
         WHERE h.position >= 0 AND NOT (c.placed AND h.tenant_id < '00000000-0000-0000-0000-000000000002') AND ${notErased('h')}
           AND ($4::text IS NULL OR (c.consumer, h.tenant_id) > ($4, $5::uuid)) AND ($6::uuid IS NULL OR h.tenant_id = $6)) found
       WHERE $7::text IS NULL OR state = $7
       ORDER BY consumer, tenant_id LIMIT $8`,
      [
        consumers.map(({ name }) => name),
        consumers.map(({ version }) => version),
        consumers.map(({ placement }) => placement === 'tenant'),
        after?.consumer ?? null,
        after?.tenantId ?? null,
        tenantId ?? null,
        state ?? null,
        limit,
      ],
    );
    return rows.map((row) => ({
      service: this.service,
      consumer: row.consumer,
      tenantId: row.tenant_id,
      position: Number(row.position),
      head: Number(row.head),
      state: row.state,
      error: row.error === null ? null : firstLine(row.error),
    }));
  }

  /** Per consumer: events that wait to be looked at, over all tenants, and how old the oldest of them is. */
  async lag(): Promise<{ consumer: string; events: number; seconds: number }[]> {
    const consumers = this.consumers();
    const { rows } = await this.pool.query<{ consumer: string; events: string; seconds: number }>(
      `SELECT c.consumer, coalesce(sum(b.behind), 0) AS events,
              coalesce(extract(epoch FROM now() - min(e.recorded_at)), 0)::float8 AS seconds
       FROM unnest($1::text[], $2::text[], $3::bool[]) AS c(consumer, version, placed)
       LEFT JOIN LATERAL (
         SELECT h.tenant_id, coalesce(p.position, -1) AS position, h.position - coalesce(p.position, -1) AS behind
         FROM log.heads h
         LEFT JOIN ${this.schema}.hints p ON p.consumer = c.consumer AND p.tenant_id = h.tenant_id AND p.version = c.version
         WHERE h.position > coalesce(p.position, -1) AND ${notErased('h')}
           AND (NOT c.placed OR EXISTS (SELECT FROM tenancy.placements l WHERE l.tenant_id = h.tenant_id AND l.ready))) b ON true
       LEFT JOIN log.events e ON e.tenant_id = b.tenant_id AND e.position = b.position + 1
       GROUP BY c.consumer`,
      [
        consumers.map(({ name }) => name),
        consumers.map(({ version }) => version),
        consumers.map(({ placement }) => placement === 'tenant'),
      ],
    );
    return rows.map((row) => ({ consumer: row.consumer, events: Number(row.events), seconds: row.seconds }));
  }

  /** In the order of their ids. Effects and timers that an erased tenant still has are those of its end, such as its export's: they are to be seen. */
  async parked({
    after,
    limit,
    tenantId,
    id,
  }: {
    after: string | null;
    limit: number;
    tenantId?: string | undefined;
    id?: string | undefined;
  }): Promise<ParkedView[]> {
    const { rows } = await this.pool.query<ParkedRow>(
      `SELECT * FROM (
         SELECT id, 'event' AS kind, consumer, tenant_id, position, type, error, attempts, parked_at, next_retry_at FROM ${this.schema}.parked k
         WHERE ${notErased('k')}
         UNION ALL
         SELECT id, 'effect', 'effects', tenant_id, NULL, name, last_error, failures, parked_at, NULL FROM ${this.schema}.effects WHERE state = 'parked'
         UNION ALL
         SELECT id, 'timer', 'timers', tenant_id, NULL, purpose, last_error, attempts, parked_at, NULL FROM ${this.schema}.timers WHERE state = 'parked'
       ) found
       WHERE ($1::uuid IS NULL OR id > $1) AND ($2::uuid IS NULL OR tenant_id = $2) AND ($3::uuid IS NULL OR id = $3)
       ORDER BY id LIMIT $4`,
      [after, tenantId ?? null, id ?? null, limit],
    );
    return rows.map((row) => this.viewOf(row));
  }

  /** What it was, once it is to be tried again, or left out; null where it isn't parked here, or can't be left out. */
  async settle(id: string, skip: { by: string; reason: string } | null): Promise<ParkedView | null> {
    const [item] = await this.parked({ after: null, limit: 1, id });
    if (!item) return null;
    const values = skip ? [id, skip.by, skip.reason] : [id];
    const { rowCount } = await this.pool.query((skip ? this.skipping : this.retrying)[item.kind], values);
    return rowCount === 0 ? null : item;
  }

  private get retrying(): Record<ParkedView['kind'], string> {
    const again = "state = 'pending', parked_at = NULL, next_attempt_at = now()";
    return {
      event: `UPDATE ${this.schema}.parked SET next_retry_at = now() WHERE id = $1`,
      effect: `UPDATE ${this.schema}.effects SET ${again}, failures = 0 WHERE id = $1 AND state = 'parked'`,
      timer: `UPDATE ${this.schema}.timers SET ${again}, attempts = 0 WHERE id = $1 AND state = 'parked'`,
    };
  }

  private get skipping(): Record<ParkedView['kind'], string> {
    const said = "last_error = 'left out by ' || $2::text || ': ' || $3::text || coalesce(E'\\n' || last_error, '')";
    return {
      // A batch or a rebuild is no event: its id would be the tenant's.
      event: `WITH gone AS (DELETE FROM ${this.schema}.parked WHERE id = $1 AND event_id <> tenant_id RETURNING consumer, tenant_id, event_id, position)
              INSERT INTO ${this.schema}.skipped (consumer, tenant_id, event_id, position, skipped_by, reason)
              SELECT consumer, tenant_id, event_id, position, $2, $3 FROM gone ON CONFLICT (consumer, tenant_id, event_id) DO UPDATE SET reason = excluded.reason`,
      effect: `UPDATE ${this.schema}.effects SET state = 'done', parked_at = NULL, next_attempt_at = now(), ${said} WHERE id = $1 AND state = 'parked'`,
      timer: `UPDATE ${this.schema}.timers SET state = 'cancelled', parked_at = NULL, next_attempt_at = now(), ${said} WHERE id = $1 AND state = 'parked'`,
    };
  }

  /** The consumer that has the projection, which may also be named itself. */
  consumerOf(name: string): string | null {
    const found = this.consumers().find((consumer) => consumer.name === name || consumer.projections.some((each) => each.name === name));
    return found?.name ?? null;
  }

  /** Asks for a rebuild of one tenant or all that have something to rebuild. Again by the same operation changes nothing. */
  async rebuild(operationId: string, consumer: string, tenantId: string | null): Promise<void> {
    const isPlaced = this.consumers().some(({ name, placement }) => name === consumer && placement === 'tenant');
    await this.pool.query(
      `INSERT INTO ${this.schema}.rebuilds (operation_id, consumer, tenant_id)
       SELECT $1, $2, h.tenant_id FROM log.heads h
       WHERE h.position >= 0 AND ${notErased('h')} AND ($3::uuid IS NULL OR h.tenant_id = $3)
         AND (NOT $4 OR EXISTS (SELECT FROM tenancy.placements l WHERE l.tenant_id = h.tenant_id AND l.ready))
       ON CONFLICT DO NOTHING`,
      [operationId, consumer, tenantId, isPlaced],
    );
  }

  async progress(operationId: string): Promise<Counts> {
    const { rows } = await this.pool.query<{ state: keyof Counts; n: number }>(
      `SELECT state, count(*)::int AS n FROM ${this.schema}.rebuilds WHERE operation_id = $1 GROUP BY state`,
      [operationId],
    );
    const counts: Counts = { total: 0, succeeded: 0, failed: 0, pending: 0 };
    for (const { state, n } of rows) {
      counts[state] = n;
      counts.total += n;
    }
    return counts;
  }

  async items({
    operationId,
    after,
    limit,
    status,
  }: {
    operationId: string;
    after: string | null;
    limit: number;
    status?: RebuildItem['status'] | undefined;
  }): Promise<RebuildItem[]> {
    const { rows } = await this.pool.query<{
      tenant_id: string;
      state: RebuildItem['status'];
      attempts: number;
      duration_ms: number | null;
      error: string | null;
    }>(
      `SELECT tenant_id, state, attempts, duration_ms, error FROM ${this.schema}.rebuilds
       WHERE operation_id = $1 AND ($2::uuid IS NULL OR tenant_id > $2) AND ($3::text IS NULL OR state = $3) ORDER BY tenant_id LIMIT $4`,
      [operationId, after, status ?? null, limit],
    );
    return rows.map((row) => ({
      tenantId: row.tenant_id,
      status: row.state,
      attempts: row.attempts,
      durationMs: row.duration_ms,
      error: row.error === null ? null : firstLine(row.error),
    }));
  }

  private viewOf(row: ParkedRow): ParkedView {
    return {
      id: row.id,
      kind: row.kind,
      service: this.service,
      consumer: row.consumer,
      tenantId: row.tenant_id,
      position: row.position === null ? null : Number(row.position),
      type: row.type,
      error: row.error === null ? null : firstLine(row.error),
      attempts: row.attempts,
      parkedAt: row.parked_at?.toISOString() ?? null,
      nextRetryAt: row.next_retry_at?.toISOString() ?? null,
    };
  }
}

/** Where in the code it was is for the log only. */
const firstLine = (error: string): string => error.split('\n', 1)[0] ?? '';
