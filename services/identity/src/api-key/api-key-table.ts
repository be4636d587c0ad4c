import type { Personal } from '@tenantry/contracts/events';
import type { ApiKey } from '@tenantry/contracts/identity/routes';
import type { Keyring } from '@tenantry/crypto/keyring';
import type { Pool } from 'pg';
import type { z } from 'zod';

interface Row {
  key_id: string;
  tenant_id: string | null;
  name: Personal;
  prefix: string;
  permissions: string[];
  created_at: Date;
  revoked_at: Date | null;
}
type ApiKeyView = z.infer<typeof ApiKey>;
const COLUMNS = 'key_id, tenant_id, name, prefix, permissions, created_at, revoked_at';

interface StoredKey {
  /** SHA-256 (hex) of the key. */
  hash: string;
  keyId: string;
  tenantId: string | null;
  /** Of a tenant's key as its event has it: encrypted. */
  name: Personal;
  prefix: string;
  permissions: string[];
  createdAt: string;
}

/** Key → principal. Of a key only its hash is stored. */
export class ApiKeyTable {
  constructor(
    private readonly pool: Pool,
    private readonly keyring: Keyring,
  ) {}

  /** Null when there is a key with that id already: its secret was shown to whoever stored it. */
  async insert(key: StoredKey): Promise<ApiKeyView | null> {
    const { rows } = await this.pool.query<Row>(
      `INSERT INTO identity.api_keys (hash, key_id, tenant_id, name, prefix, permissions, created_at)
       VALUES (decode($1, 'hex'), $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
      [key.hash, key.keyId, key.tenantId, JSON.stringify(key.name), key.prefix, key.permissions, key.createdAt],
    );
    return rows[0] ? this.view(rows[0]) : null;
  }

  /** Newest first. */
  async list(tenantId: string): Promise<ApiKeyView[]> {
    const { rows } = await this.pool.query<Row>(
      `SELECT ${COLUMNS} FROM identity.api_keys WHERE tenant_id = $1 AND expires_at IS NULL ORDER BY created_at DESC, key_id`,
      [tenantId],
    );
    return Promise.all(rows.map((row) => this.view(row)));
  }

  /** The key stops working with this statement. Null where the tenant has no such key; a repeat keeps the first time. */
  async revoke(tenantId: string, keyId: string, at: string): Promise<ApiKeyView | null> {
    const { rows } = await this.pool.query<Row>(
      `UPDATE identity.api_keys SET revoked_at = coalesce(revoked_at, $3)
       WHERE key_id = $2 AND tenant_id = $1 AND expires_at IS NULL RETURNING ${COLUMNS}`,
      [tenantId, keyId, at],
    );
    return rows[0] ? this.view(rows[0]) : null;
  }

  /** Whose key this is; null where there is none that works. */
  async find(hash: string): Promise<{ keyId: string; tenantId: string | null; permissions: string[] } | null> {
    const { rows } = await this.pool.query<Row>(
      `SELECT key_id, tenant_id, permissions FROM identity.api_keys
       WHERE hash = decode($1, 'hex') AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
      [hash],
    );
    const row = rows[0];
    return row ? { keyId: row.key_id, tenantId: row.tenant_id, permissions: row.permissions } : null;
  }

  /** A key that stops working by itself; those that did so before are deleted on the way. */
  async insertProbe(key: Omit<StoredKey, 'name' | 'createdAt'>, lifetimeSeconds: number): Promise<void> {
    await this.pool.query(
      `WITH expired AS (
         DELETE FROM identity.api_keys WHERE hash IN (
           SELECT hash FROM identity.api_keys WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED)
       )
       INSERT INTO identity.api_keys (hash, key_id, tenant_id, name, prefix, permissions, created_at, expires_at)
       VALUES (decode($1, 'hex'), $2, $3, '"probe"', $4, $5, now(), now() + make_interval(secs => $6))`,
      [key.hash, key.keyId, key.tenantId, key.prefix, key.permissions, lifetimeSeconds],
    );
  }

  private async view(row: Row): Promise<ApiKeyView> {
    return {
      id: row.key_id,
      name: row.tenant_id === null ? (row.name as string) : await this.keyring.reveal(row.tenant_id, row.name),
      prefix: row.prefix,
      permissions: row.permissions,
      tenantId: row.tenant_id,
      createdAt: row.created_at.toISOString(),
      revokedAt: row.revoked_at?.toISOString() ?? null,
    };
  }
}
