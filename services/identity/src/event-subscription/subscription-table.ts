import { newId } from '@tenantry/contracts/ids';
import type { Pool } from 'pg';

export interface Progress {
  consumer: string;
  subscriptionId: string;
  /** Of the start that it was made for. */
  generation: number;
  streamCreated: string;
  /** Sequence in that stream. */
  acknowledged: number;
  /** Null: not known. A later null leaves what is known. */
  acknowledgedUntil: string | null;
}

/** Credentials, without what makes them secret. */
export interface Issued {
  inboxPrefix: string;
  expiresAt: string | null;
}

/** Held by one process at a time. After `untilMs` of its own clock the holder has to stop. */
export interface Lease {
  untilMs: number;
  release(): Promise<void>;
}

const LEASE_MS = 30_000;
/** The holder's own end comes before the others may take over. */
const MARGIN_MS = 5_000;

/** What is known of subscriptions beside their events. */
export class SubscriptionTable {
  constructor(private readonly pool: Pool) {}

  /** Every set of credentials that was issued, oldest first. */
  async credentials(subscriptionId: string): Promise<{ credentials: number; userKey: string; inboxPrefix: string }[]> {
    const { rows } = await this.pool.query(
      `SELECT credentials, user_key AS "userKey", inbox_prefix AS "inboxPrefix"
       FROM identity.event_subscription_credentials WHERE subscription_id = $1 ORDER BY credentials`,
      [subscriptionId],
    );
    return rows;
  }

  /** The newest credentials of each, as far as they may be shown. */
  async newest(subscriptionIds: readonly string[]): Promise<Map<string, Issued>> {
    const { rows } = await this.pool.query<{ id: string; inbox_prefix: string; expires_at: Date | null }>(
      `SELECT DISTINCT ON (subscription_id) subscription_id AS id, inbox_prefix, expires_at
       FROM identity.event_subscription_credentials WHERE subscription_id = ANY($1) ORDER BY subscription_id, credentials DESC`,
      [subscriptionIds],
    );
    return new Map(
      rows.map(({ id, inbox_prefix: inboxPrefix, expires_at }) => [id, { inboxPrefix, expiresAt: expires_at?.toISOString() ?? null }]),
    );
  }

  /** False where these credentials were issued already: their secret was shown to whoever inserted them. */
  async issue(subscriptionId: string, credentials: number, userKey: string, { inboxPrefix, expiresAt }: Issued): Promise<boolean> {
    const { rowCount } = await this.pool.query(
      `INSERT INTO identity.event_subscription_credentials (subscription_id, credentials, user_key, inbox_prefix, expires_at)
       VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
      [subscriptionId, credentials, userKey, inboxPrefix, expiresAt],
    );
    return rowCount === 1;
  }

  async progress(subscriptionId: string): Promise<Map<string, Progress>> {
    const { rows } = await this.pool.query<Record<string, any>>(
      'SELECT * FROM identity.event_subscription_progress WHERE subscription_id = $1',
      [subscriptionId],
    );
    return new Map(
      rows.map((row) => [
        row['consumer'],
        {
          consumer: row['consumer'],
          subscriptionId: row['subscription_id'],
          generation: row['generation'],
          streamCreated: row['stream_created'].toISOString(),
          acknowledged: Number(row['acknowledged']),
          acknowledgedUntil: row['acknowledged_until']?.toISOString() ?? null,
        },
      ]),
    );
  }

  /** Never goes back within one start and one stream. */
  async remember(seen: readonly Progress[]): Promise<void> {
    if (seen.length === 0) return;
    await this.pool.query(
      `INSERT INTO identity.event_subscription_progress AS p
         (consumer, subscription_id, generation, stream_created, acknowledged, acknowledged_until)
       SELECT consumer, "subscriptionId", generation, "streamCreated", acknowledged, "acknowledgedUntil"
       FROM json_to_recordset($1) AS seen(consumer text, "subscriptionId" uuid, generation int, "streamCreated" timestamptz,
         acknowledged bigint, "acknowledgedUntil" timestamptz)
       ON CONFLICT (consumer) DO UPDATE SET
         generation = excluded.generation,
         stream_created = excluded.stream_created,
         acknowledged = CASE WHEN p.generation = excluded.generation AND p.stream_created = excluded.stream_created
           THEN greatest(p.acknowledged, excluded.acknowledged) ELSE excluded.acknowledged END,
         acknowledged_until = CASE WHEN p.generation = excluded.generation
           THEN greatest(p.acknowledged_until, excluded.acknowledged_until) ELSE excluded.acknowledged_until END`,
      [JSON.stringify(seen)],
    );
  }

  async forget(subscriptionId: string): Promise<void> {
    await this.pool.query('DELETE FROM identity.event_subscription_progress WHERE subscription_id = $1', [subscriptionId]);
  }

  /** Null where another process has it. */
  async lease(subscriptionId: string): Promise<Lease | null> {
    const holder = newId();
    const askedMs = performance.now();
    const { rowCount } = await this.pool.query(
      `INSERT INTO identity.event_subscription_leases AS l (subscription_id, holder, until)
       VALUES ($1, $2, now() + $3 * interval '1 ms')
       ON CONFLICT (subscription_id) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE l.until <= now()`,
      [subscriptionId, holder, LEASE_MS],
    );
    if (rowCount !== 1) return null;
    return {
      untilMs: askedMs + LEASE_MS - MARGIN_MS,
      release: async () => {
        await this.pool.query('DELETE FROM identity.event_subscription_leases WHERE subscription_id = $1 AND holder = $2', [
          subscriptionId,
          holder,
        ]);
      },
    };
  }

  /** Last positions of logs, and of each context in them; what was recorded last comes first where no tenants are named. */
  async heads(
    tenants: readonly string[] | null,
    limit: number,
  ): Promise<{ tenantId: string; position: number; contexts: Record<string, number> }[]> {
    const { rows } = await this.pool.query<{ tenantId: string; position: string; contexts: Record<string, number> }>(
      tenants === null
        ? 'SELECT tenant_id AS "tenantId", position, contexts FROM log.heads WHERE position >= 0 ORDER BY recorded_at DESC LIMIT $1'
        : 'SELECT tenant_id AS "tenantId", position, contexts FROM log.heads WHERE tenant_id = ANY($2) LIMIT $1',
      tenants === null ? [limit] : [limit, tenants],
    );
    return rows.map((row) => ({ ...row, position: Number(row.position) }));
  }
}
