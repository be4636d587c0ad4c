import { randomBytes } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import { isRotated, keyId, namedVersion, openBytes, ownBytes, sealBytes } from '@tenantry/crypto/envelope';
import type { DataKey } from '@tenantry/crypto/keyring';
import type { Kms } from '@tenantry/crypto/kms';
import { isOfErased } from '@tenantry/tenancy/erased-fence';
import type { Pool, PoolClient } from 'pg';
import { tenantContext } from './wrapping-context.js';

/** The version that new keys get. The row of this version is also what makers, rotations and destruction of a key lock: it is always there. */
const FIRST = 1;
const KEY_BYTES = 32;
const CACHE_MS = 300_000;
const CACHED_TENANTS = 10_000;
/** Losing a race against another maker costs one more look; losing this often means that something else is wrong. */
const MAX_LOOKS = 5;

interface Wrapping {
  tenant_version: number;
  tenant_wrapped: Buffer | null;
  master_key: string | null;
}
interface Newest extends Wrapping {
  subject: string | null;
  version: number;
  wrapped: Buffer | null;
  /** Of the tenant's key that wraps it. */
  by_version: number;
  by_wrapped: Buffer | null;
  by_master_key: string | null;
}

// The newest version of each; a destroyed key is a row whose `wrapped` is null.
const NEWEST = `
  SELECT t.version AS tenant_version, t.wrapped AS tenant_wrapped, t.master_key, s.subject, s.version, s.wrapped,
    s.tenant_key_version AS by_version, w.wrapped AS by_wrapped, w.master_key AS by_master_key
  FROM (SELECT * FROM identity.tenant_keys WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1) t
  LEFT JOIN (
    SELECT DISTINCT ON (subject) subject, version, wrapped, tenant_key_version FROM identity.subject_keys
    WHERE tenant_id = $1 AND subject = ANY($2::text[]) ORDER BY subject, version DESC
  ) s ON true
  LEFT JOIN identity.tenant_keys w ON w.tenant_id = $1 AND w.version = s.tenant_key_version`;

// Those that can be read.
const BY_VERSION = `
  SELECT s.subject, s.version, s.wrapped, w.version AS tenant_version, w.wrapped AS tenant_wrapped, w.master_key
  FROM unnest($2::text[], $3::int[]) AS asked(subject, version)
  JOIN identity.subject_keys s ON s.tenant_id = $1 AND s.subject = asked.subject AND s.version = asked.version AND s.wrapped IS NOT NULL
  JOIN identity.tenant_keys w ON w.tenant_id = $1 AND w.version = s.tenant_key_version AND w.wrapped IS NOT NULL`;

// Subject keys are wrapped by the tenant's key, so those of a maker who lost the race for the tenant's key are not kept:
// with $2 (a new tenant key) they are inserted only when that one was. The locks keep a destruction that is under way from missing
// what is made here: it waits, then sees it; or this one waits, and makes nothing.
const MAKE = `
  WITH tenant AS (
    INSERT INTO identity.tenant_keys (tenant_id, version, wrapped, master_key)
    SELECT $1, $3::int, $2::bytea, $7 WHERE $2::bytea IS NOT NULL ON CONFLICT DO NOTHING RETURNING 1
  ), alive AS (
    SELECT 1 FROM identity.tenant_keys WHERE tenant_id = $1 AND version = ${FIRST} AND wrapped IS NOT NULL AND $2::bytea IS NULL FOR SHARE
  ), earlier AS (
    SELECT subject FROM identity.subject_keys
    WHERE tenant_id = $1 AND version = ${FIRST} AND wrapped IS NOT NULL AND subject = ANY($4::text[]) AND EXISTS (SELECT 1 FROM alive)
    ORDER BY subject FOR SHARE
  )
  INSERT INTO identity.subject_keys (tenant_id, subject, version, tenant_key_version, wrapped)
  SELECT $1, made.subject, made.version, $3::int, made.wrapped FROM unnest($4::text[], $5::int[], $6::bytea[]) AS made(subject, version, wrapped)
  WHERE (EXISTS (SELECT 1 FROM tenant) OR EXISTS (SELECT 1 FROM alive))
    AND (made.version = ${FIRST} OR made.subject IN (SELECT subject FROM earlier))
  ON CONFLICT DO NOTHING RETURNING subject`;

type NamedKey = DataKey & { subject: string };

/**
 * KMS → key of the tenant → key of the data subject. All are made at first use, and concurrent makers agree on one:
 * what an insert did not make, somebody else did, and is read back. A tenant's newer key gets its subjects newer ones, each at its next use;
 * the older ones stay for reading.
 */
export class KeyStore {
  private readonly tenantKeys = new Map<string, { key: Buffer; at: number }>();

  constructor(
    private readonly pool: Pool,
    private readonly kms: Kms,
  ) {}

  /**
   * The newest keys of the subjects, in clear, and the version of the tenant's key: one round trip where they exist, two where they are made.
   * @throws DomainError `keys.destroyed` when the tenant's key or one of the subjects' was destroyed
   */
  async ensure(tenantId: string, subjects: readonly string[]): Promise<{ keys: NamedKey[]; tenantKeyVersion: number }> {
    const wanted = [...new Set(subjects)].sort();
    const found = new Map<string, NamedKey>();
    for (let look = 0; look < MAX_LOOKS; look++) {
      const { rows } = await this.pool.query<Newest>(NEWEST, [tenantId, wanted]);
      const tenant = rows[0];
      if (tenant && tenant.tenant_wrapped === null) throw new DomainError('keys.destroyed');
      const version = tenant?.tenant_version ?? FIRST;
      const tenantKey = tenant ? await this.tenantKey(tenantId, tenant) : randomBytes(KEY_BYTES);
      const next = new Map<string, number>();
      for (const row of rows) {
        if (row.subject === null) continue;
        if (row.wrapped === null || row.by_wrapped === null) throw new DomainError('keys.destroyed');
        if (row.by_version < version && isRotated(row.subject)) {
          next.set(row.subject, row.version + 1);
          continue;
        }
        const wrapping = { tenant_version: row.by_version, tenant_wrapped: row.by_wrapped, master_key: row.by_master_key };
        const key = row.by_version === version ? tenantKey : await this.tenantKey(tenantId, wrapping);
        const id = keyId(tenantId, row.subject, row.version);
        found.set(row.subject, { subject: row.subject, id, key: openBytes(key, row.wrapped, Buffer.from(id)) });
      }
      const missing = wanted.filter((subject) => !found.has(subject));
      if (missing.length === 0) return { keys: [...found.values()], tenantKeyVersion: version };

      const made = missing.map((subject) => {
        const subjectVersion = next.get(subject) ?? FIRST;
        return { subject, version: subjectVersion, id: keyId(tenantId, subject, subjectVersion), key: randomBytes(KEY_BYTES) };
      });
      const inserted = await this.insert([
        tenantId,
        tenant ? null : await this.kms.wrap(tenantKey, tenantContext(tenantId, version)),
        version,
        missing,
        made.map((one) => one.version),
        made.map(({ id, key }) => sealBytes(tenantKey, key, Buffer.from(id))),
        this.kms.current,
      ]);
      const ours = new Set(inserted.rows.map(({ subject }) => subject));
      for (const { subject, id, key } of made) if (ours.has(subject)) found.set(subject, { subject, id, key });
      if (wanted.every((subject) => found.has(subject))) return { keys: [...found.values()], tenantKeyVersion: version };
    }
    throw new Error(`keys of tenant ${tenantId} could not be agreed on`);
  }

  /** Keys by their ids, of whatever version. Those that were destroyed, never were, or are another tenant's are left out. */
  async open(tenantId: string, ids: readonly string[]): Promise<DataKey[]> {
    const named = [...new Set(ids)].map(namedVersion).filter((one) => one.tenantId === tenantId);
    if (named.length === 0) return [];
    const { rows } = await this.pool.query<Wrapping & { subject: string; version: number; wrapped: Buffer }>(BY_VERSION, [
      tenantId,
      named.map(({ subject }) => subject),
      named.map(({ version }) => version),
    ]);
    return Promise.all(
      rows.map(async (row) => {
        const id = keyId(tenantId, row.subject, row.version);
        return { id, key: openBytes(await this.tenantKey(tenantId, row), row.wrapped, Buffer.from(id)) };
      }),
    );
  }

  private async insert(values: unknown[]): Promise<{ rows: { subject: string }[] }> {
    try {
      return await this.pool.query<{ subject: string }>(MAKE, values);
    } catch (error) {
      // Its erasure has begun: the keys that there are go soon, and no other is made.
      throw isOfErased(error) ? new DomainError('keys.destroyed', { cause: error }) : error;
    }
  }

  /**
   * A newer key of the tenant, for everything that is encrypted from now on. One per command, however often it is repeated.
   * @returns the version that the command made; null where the tenant has no keys yet
   * @throws DomainError `keys.destroyed`
   */
  async rotate(tenantId: string, commandId: string): Promise<number | null> {
    return this.locked(
      'SELECT wrapped IS NOT NULL AS usable FROM identity.tenant_keys WHERE tenant_id = $1 AND version = $2 FOR NO KEY UPDATE',
      [tenantId, FIRST],
      async (client, first) => {
        if (!first) return null;
        if (!first['usable']) throw new DomainError('keys.destroyed');
        const { rows } = await client.query<{ newest: number; made: number | null }>(
          `SELECT max(version) AS newest, max(version) FILTER (WHERE made_by = $2) AS made FROM identity.tenant_keys WHERE tenant_id = $1`,
          [tenantId, commandId],
        );
        const { newest, made } = rows[0] as { newest: number; made: number | null };
        if (made !== null) return made;
        const version = newest + 1;
        await client.query(
          'INSERT INTO identity.tenant_keys (tenant_id, version, wrapped, master_key, made_by) VALUES ($1, $2, $3, $4, $5)',
          [tenantId, version, await this.kms.wrap(randomBytes(KEY_BYTES), tenantContext(tenantId, version)), this.kms.current, commandId],
        );
        return version;
      },
    );
  }

  /** Versions of the tenant's key, the newest first. */
  async versions(tenantId: string): Promise<{ keyVersion: number; createdAt: string; destroyedAt: string | null }[]> {
    const { rows } = await this.pool.query<{ version: number; created_at: Date; destroyed_at: Date | null }>(
      'SELECT version, created_at, destroyed_at FROM identity.tenant_keys WHERE tenant_id = $1 ORDER BY version DESC LIMIT 200',
      [tenantId],
    );
    return rows.map(({ version, created_at, destroyed_at }) => ({
      ...{ keyVersion: version, createdAt: created_at.toISOString() },
      destroyedAt: destroyed_at?.toISOString() ?? null,
    }));
  }

  /**
   * Tenants whose newest key is older than that, the oldest first; the platform's own logs are among them. Those that were put off come
   * when their time is over, after the others.
   */
  async olderThan(days: number, limit: number): Promise<{ tenantId: string; keyVersion: number }[]> {
    const { rows } = await this.pool.query<{ tenant_id: string; version: number }>(
      `SELECT tenant_id, version FROM identity.tenant_keys t
       WHERE wrapped IS NOT NULL AND created_at < now() - make_interval(days => $1) AND (rotate_after IS NULL OR rotate_after <= now())
         AND NOT EXISTS (SELECT 1 FROM identity.tenant_keys newer WHERE newer.tenant_id = t.tenant_id AND newer.version > t.version)
       ORDER BY rotate_after NULLS FIRST, created_at LIMIT $2`,
      [days, limit],
    );
    return rows.map(({ tenant_id, version }) => ({ tenantId: tenant_id, keyVersion: version }));
  }

  /** They could not be rotated: they are old again after a minute, then two, four, at most a day. Replicas that say so at once count once. */
  async putOff(keys: readonly { tenantId: string; keyVersion: number }[]): Promise<void> {
    await this.pool.query(
      `UPDATE identity.tenant_keys t SET rotation_failures = rotation_failures + 1,
         rotate_after = now() + least(interval '1 day', interval '1 minute' * power(2, least(rotation_failures, 11)))
       FROM unnest($1::uuid[], $2::int[]) AS failed(tenant_id, version)
       WHERE t.tenant_id = failed.tenant_id AND t.version = failed.version AND (rotate_after IS NULL OR rotate_after <= now())`,
      [keys.map(({ tenantId }) => tenantId), keys.map(({ keyVersion }) => keyVersion)],
    );
  }

  /**
   * Destroys the tenant's key and those of its subjects, of every version, for good: a tenant that has none yet gets none any more. Idempotent.
   * What another process still holds in its memory ends with its cache.
   */
  async destroy(tenantId: string): Promise<void> {
    await this.locked(
      `INSERT INTO identity.tenant_keys (tenant_id, version, destroyed_at) VALUES ($1, $2, now())
       ON CONFLICT (tenant_id, version) DO UPDATE SET wrapped = NULL, destroyed_at = coalesce(tenant_keys.destroyed_at, now())`,
      [tenantId, FIRST],
      async (client) => {
        for (const table of ['tenant_keys', 'subject_keys'])
          await client.query(
            `UPDATE identity.${table} SET wrapped = NULL, destroyed_at = now() WHERE tenant_id = $1 AND wrapped IS NOT NULL`,
            [tenantId],
          );
      },
    );
    for (const context of this.tenantKeys.keys()) if (context.startsWith(`tenant/${tenantId}/`)) this.tenantKeys.delete(context);
  }

  /** Destroys one subject's key, of every version. Idempotent. */
  async destroySubject(tenantId: string, subject: string): Promise<void> {
    await this.locked(
      'SELECT 1 FROM identity.subject_keys WHERE tenant_id = $1 AND subject = $2 AND version = $3 FOR NO KEY UPDATE',
      [tenantId, subject, FIRST],
      (client) =>
        client.query(
          'UPDATE identity.subject_keys SET wrapped = NULL, destroyed_at = now() WHERE tenant_id = $1 AND subject = $2 AND wrapped IS NOT NULL',
          [tenantId, subject],
        ),
    );
  }

  /** Keys of the tenant and its subjects that can still be unwrapped. */
  async countUsable(tenantId: string): Promise<number> {
    const { rows } = await this.pool.query<{ found: string }>(
      `SELECT (SELECT count(*) FROM identity.tenant_keys WHERE tenant_id = $1 AND wrapped IS NOT NULL)
            + (SELECT count(*) FROM identity.subject_keys WHERE tenant_id = $1 AND wrapped IS NOT NULL) AS found`,
      [tenantId],
    );
    return Number(rows[0]?.found);
  }

  /** Rows that say that there was a key. */
  async countDestroyed(tenantId: string): Promise<number> {
    const { rows } = await this.pool.query<{ kept: string }>(
      `SELECT (SELECT count(*) FROM identity.tenant_keys WHERE tenant_id = $1 AND wrapped IS NULL)
            + (SELECT count(*) FROM identity.subject_keys WHERE tenant_id = $1 AND wrapped IS NULL) AS kept`,
      [tenantId],
    );
    return Number(rows[0]?.kept);
  }

  /** Takes a lock by a statement, then works in others, which see what was committed while this one waited. */
  private async locked<T>(
    lock: string,
    values: unknown[],
    work: (client: PoolClient, row: Record<string, unknown> | undefined) => Promise<T>,
  ) {
    const client = await this.pool.connect();
    let failed: unknown;
    try {
      await client.query('BEGIN');
      const { rows } = await client.query<Record<string, unknown>>(lock, values);
      const result = await work(client, rows[0]);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      failed = error;
      throw error;
    } finally {
      // With its transaction open it isn't given back.
      client.release(failed !== undefined);
    }
  }

  private async tenantKey(tenantId: string, { tenant_version: version, tenant_wrapped: wrapped, master_key }: Wrapping): Promise<Buffer> {
    const context = tenantContext(tenantId, version);
    const cached = this.tenantKeys.get(context);
    if (cached && performance.now() - cached.at < CACHE_MS) return cached.key;
    const key = ownBytes(await this.kms.unwrap(wrapped as Buffer, context, master_key));
    this.tenantKeys.delete(context);
    this.tenantKeys.set(context, { key, at: performance.now() });
    for (const [oldest, { at }] of this.tenantKeys) {
      if (this.tenantKeys.size <= CACHED_TENANTS && performance.now() - at < CACHE_MS) break;
      this.tenantKeys.delete(oldest);
    }
    return key;
  }
}
