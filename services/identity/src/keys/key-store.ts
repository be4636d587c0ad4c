import { randomBytes } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import { keyId, openBytes, sealBytes } from '@tenantry/crypto/envelope';
import type { DataKey } from '@tenantry/crypto/keyring';
import type { Kms } from '@tenantry/crypto/kms';
import type { Pool } from 'pg';

/** The version that new keys get. Rotation re-wraps keys; it never makes other ones for data that exists. */
const FIRST = 1;
const KEY_BYTES = 32;
const CACHE_MS = 300_000;
const CACHED_TENANTS = 10_000;
/** Losing a race against another maker costs one more look; losing this often means that something else is wrong. */
const MAX_LOOKS = 5;

interface Row {
  tenant_version: number;
  tenant_wrapped: Buffer | null;
  subject: string | null;
  version: number;
  wrapped: Buffer | null;
}

// The newest version of each; a destroyed key is a row whose `wrapped` is null.
const READ = `
  SELECT t.version AS tenant_version, t.wrapped AS tenant_wrapped, s.subject, s.version, s.wrapped
  FROM (SELECT * FROM identity.tenant_keys WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1) t
  LEFT JOIN (
    SELECT DISTINCT ON (subject) subject, version, wrapped FROM identity.subject_keys
    WHERE tenant_id = $1 AND subject = ANY($2::text[]) ORDER BY subject, version DESC
  ) s ON true`;

// Subject keys are wrapped by the tenant's key, so those of a maker who lost the race for the tenant's key are not kept:
// with $2 (a new tenant key) they are inserted only when that one was.
const MAKE = `
  WITH tenant AS (
    INSERT INTO identity.tenant_keys (tenant_id, version, wrapped)
    SELECT $1, $3::int, $2::bytea WHERE $2::bytea IS NOT NULL ON CONFLICT DO NOTHING RETURNING 1
  )
  INSERT INTO identity.subject_keys (tenant_id, subject, version, tenant_key_version, wrapped)
  SELECT $1, made.subject, ${FIRST}, $3::int, made.wrapped FROM unnest($4::text[], $5::bytea[]) AS made(subject, wrapped)
  WHERE $2::bytea IS NULL OR EXISTS (SELECT 1 FROM tenant)
  ON CONFLICT DO NOTHING RETURNING subject`;

type NamedKey = DataKey & { subject: string };

/**
 * KMS → key of the tenant → key of the data subject. All are made at first use, and concurrent makers agree on one:
 * what an insert did not make, somebody else did, and is read back.
 */
export class KeyStore {
  private readonly tenantKeys = new Map<string, { key: Buffer; at: number }>();

  constructor(
    private readonly pool: Pool,
    private readonly kms: Kms,
  ) {}

  /**
   * Keys of the subjects, in clear, and the version of the tenant's key that wraps them: one round trip where they exist, two where they are made.
   * @throws DomainError `keys.destroyed` when the tenant's key or one of the subjects' was destroyed
   */
  async ensure(tenantId: string, subjects: readonly string[]): Promise<{ keys: NamedKey[]; tenantKeyVersion: number }> {
    const wanted = [...new Set(subjects)].sort();
    const found = new Map<string, NamedKey>();
    for (let look = 0; look < MAX_LOOKS; look++) {
      const { rows } = await this.pool.query<Row>(READ, [tenantId, wanted]);
      const tenant = rows[0];
      if (tenant && tenant.tenant_wrapped === null) throw new DomainError('keys.destroyed');
      const version = tenant?.tenant_version ?? FIRST;
      const tenantKey = tenant ? await this.unwrapTenantKey(tenantId, version, tenant.tenant_wrapped as Buffer) : randomBytes(KEY_BYTES);
      for (const { subject, version: subjectVersion, wrapped } of rows) {
        if (subject === null) continue;
        if (wrapped === null) throw new DomainError('keys.destroyed');
        const id = keyId(tenantId, subject, subjectVersion);
        found.set(subject, { subject, id, key: openBytes(tenantKey, wrapped, Buffer.from(id)) });
      }
      const missing = wanted.filter((subject) => !found.has(subject));
      if (missing.length === 0) return { keys: [...found.values()], tenantKeyVersion: version };

      const made = missing.map((subject) => ({ subject, id: keyId(tenantId, subject, FIRST), key: randomBytes(KEY_BYTES) }));
      const inserted = await this.pool.query<{ subject: string }>(MAKE, [
        tenantId,
        tenant ? null : await this.kms.wrap(tenantKey, tenantContext(tenantId, version)),
        version,
        missing,
        made.map(({ id, key }) => sealBytes(tenantKey, key, Buffer.from(id))),
      ]);
      const ours = new Set(inserted.rows.map(({ subject }) => subject));
      for (const key of made) if (ours.has(key.subject)) found.set(key.subject, key);
      if (wanted.every((subject) => found.has(subject))) return { keys: [...found.values()], tenantKeyVersion: version };
    }
    throw new Error(`keys of tenant ${tenantId} could not be agreed on`);
  }

  /**
   * Destroys the tenant's key and those of its subjects, for good: a tenant that has none yet gets none any more. Idempotent.
   * What another process still holds in its memory ends with its cache.
   */
  async destroy(tenantId: string): Promise<void> {
    await this.pool.query(
      `WITH tenant AS (
         INSERT INTO identity.tenant_keys (tenant_id, version, wrapped, destroyed_at)
         SELECT $1, coalesce(max(version), ${FIRST}), NULL, now() FROM identity.tenant_keys WHERE tenant_id = $1
         ON CONFLICT (tenant_id, version) DO NOTHING
       ), wrapping AS (
         UPDATE identity.tenant_keys SET wrapped = NULL, destroyed_at = now() WHERE tenant_id = $1 AND wrapped IS NOT NULL
       )
       UPDATE identity.subject_keys SET wrapped = NULL, destroyed_at = now() WHERE tenant_id = $1 AND wrapped IS NOT NULL`,
      [tenantId],
    );
    for (const context of this.tenantKeys.keys()) if (context.startsWith(`tenant/${tenantId}/`)) this.tenantKeys.delete(context);
  }

  /** Destroys one subject's key. Idempotent. */
  async destroySubject(tenantId: string, subject: string): Promise<void> {
    await this.pool.query(
      `UPDATE identity.subject_keys SET wrapped = NULL, destroyed_at = now() WHERE tenant_id = $1 AND subject = $2 AND wrapped IS NOT NULL`,
      [tenantId, subject],
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

  /** Keys in clear stay in memory for at most 5 minutes, so that a distant KMS isn't asked each time. */
  private async unwrapTenantKey(tenantId: string, version: number, wrapped: Buffer): Promise<Buffer> {
    const context = tenantContext(tenantId, version);
    const cached = this.tenantKeys.get(context);
    if (cached && performance.now() - cached.at < CACHE_MS) return cached.key;
    const key = await this.kms.unwrap(wrapped, context);
    this.tenantKeys.delete(context);
    this.tenantKeys.set(context, { key, at: performance.now() });
    if (this.tenantKeys.size > CACHED_TENANTS) this.tenantKeys.delete(this.tenantKeys.keys().next().value as string);
    return key;
  }
}

const tenantContext = (tenantId: string, version: number) => `tenant/${tenantId}/${version}`;
