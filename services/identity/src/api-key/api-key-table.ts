import { DomainError } from '@tenantry/contracts/errors';
import type { Personal } from '@tenantry/contracts/events';
import type { ApiKey, PlatformKey } from '@tenantry/contracts/identity/routes';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { Keyring } from '@tenantry/crypto/keyring';
import type { Pool, PoolClient } from 'pg';
import type { z } from 'zod';

interface Row {
  key_id: string;
  tenant_id: string | null;
  name: Personal;
  prefix: string;
  permissions: string[];
  created_at: Date;
  revoked_at: Date | null;
  expires_at: Date | null;
  owner: Personal | null;
  person: string | null;
}
type ApiKeyView = z.infer<typeof ApiKey>;
export type PlatformKeyView = z.infer<typeof PlatformKey>;
const COLUMNS = 'key_id, tenant_id, name, prefix, permissions, created_at, revoked_at, expires_at, owner, person';
const ALIVE = 'revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())';

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
  expiresAt?: string;
  person: string;
  /** As its event has it: encrypted. */
  owner?: Personal;
}
/** A key as its person is looked for. */
export interface KeyOfPerson {
  keyId: string;
  tenantId: string | null;
  person: string | null;
}

/** Key → principal. Of a key only its hash is stored. */
export class ApiKeyTable {
  constructor(
    private readonly pool: Pool,
    private readonly keyring: Keyring,
  ) {}

  /** Null when there is a key with that id already: its secret was shown to whoever stored it. */
  async insert(key: StoredKey): Promise<PlatformKeyView | null> {
    const { rows } = await this.pool.query<Row>(
      `INSERT INTO identity.api_keys (hash, key_id, tenant_id, name, prefix, permissions, created_at, expires_at, person, owner)
       VALUES (decode($1, 'hex'), $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
      [
        ...[key.hash, key.keyId, key.tenantId, JSON.stringify(key.name), key.prefix, key.permissions, key.createdAt, key.expiresAt ?? null],
        ...[key.person, key.owner === undefined ? null : JSON.stringify(key.owner)],
      ],
    );
    return rows[0] ? this.platformView(rows[0], true) : null;
  }

  /** Newest first. */
  async list(tenantId: string): Promise<ApiKeyView[]> {
    const { rows } = await this.pool.query<Row>(
      `SELECT ${COLUMNS} FROM identity.api_keys WHERE tenant_id = $1 AND NOT probe ORDER BY created_at DESC, key_id`,
      [tenantId],
    );
    return Promise.all(rows.map((row) => this.view(row)));
  }

  /** The platform's, newest first. `mayRead`: whom they belong to. */
  async listPlatform(mayRead: boolean): Promise<PlatformKeyView[]> {
    const { rows } = await this.pool.query<Row>(
      `SELECT ${COLUMNS} FROM identity.api_keys WHERE tenant_id IS NULL AND NOT probe ORDER BY created_at DESC, key_id`,
    );
    return Promise.all(rows.map((row) => this.platformView(row, mayRead)));
  }

  /** The key stops working with this statement. Null where the tenant has no such key; a repeat keeps the first time. */
  async revoke(tenantId: string, keyId: string, at: string): Promise<ApiKeyView | null> {
    const { rows } = await this.pool.query<Row>(
      `UPDATE identity.api_keys SET revoked_at = coalesce(revoked_at, $3)
       WHERE key_id = $2 AND tenant_id = $1 AND NOT probe RETURNING ${COLUMNS}`,
      [tenantId, keyId, at],
    );
    return rows[0] ? this.view(rows[0]) : null;
  }

  /**
   * As `revoke`, of a key of the platform. Keys for everything that stay are locked meanwhile: of two that revoke each other one is refused.
   * @throws DomainError `api_key.last` for the last such key
   */
  async revokePlatform(keyId: string, at: string, mayRead: boolean): Promise<PlatformKeyView | null> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const revoked = await revokeUnlessLast(client, keyId, at);
      await client.query('COMMIT');
      return revoked && (await this.platformView(revoked, mayRead));
    } catch (error) {
      await client.query('ROLLBACK').catch((fault: Error) => {
        broken = fault;
      });
      throw error;
    } finally {
      // A connection whose transaction could not be ended is not given back.
      client.release(broken);
    }
  }

  /** Whose this key is; null where there is none that works. */
  async find(hash: string): Promise<(KeyOfPerson & { permissions: string[] }) | null> {
    const { rows } = await this.pool.query<Row>(
      `SELECT key_id, tenant_id, permissions, person FROM identity.api_keys WHERE hash = decode($1, 'hex') AND ${ALIVE}`,
      [hash],
    );
    return rows[0] ? { ...ofPerson(rows[0]), permissions: rows[0].permissions } : null;
  }

  /** By its id, whether it works or not. */
  async byId(keyId: string): Promise<KeyOfPerson | null> {
    const { rows } = await this.pool.query<Row>('SELECT key_id, tenant_id, person FROM identity.api_keys WHERE key_id::text = $1', [keyId]);
    return rows[0] ? ofPerson(rows[0]) : null;
  }

  /** When it ends by itself; null where it doesn't, and for credentials that are no key. */
  async endOf(keyId: string): Promise<string | null> {
    const { rows } = await this.pool.query<Pick<Row, 'expires_at'>>('SELECT expires_at FROM identity.api_keys WHERE key_id::text = $1', [
      keyId,
    ]);
    return rows[0]?.expires_at?.toISOString() ?? null;
  }

  /** Of the platform's keys those from before there were people. */
  async withoutPerson(): Promise<KeyOfPerson[]> {
    const { rows } = await this.pool.query<Row>(
      'SELECT key_id, tenant_id, person FROM identity.api_keys WHERE tenant_id IS NULL AND NOT probe AND person IS NULL',
    );
    return rows.map(ofPerson);
  }

  async setPerson(keyId: string, person: string): Promise<void> {
    await this.pool.query('UPDATE identity.api_keys SET person = $2 WHERE key_id = $1 AND person IS NULL', [keyId, person]);
  }

  /** A key that stops working by itself; those that did so before are deleted on the way. */
  async insertProbe(
    key: Pick<StoredKey, 'hash' | 'keyId' | 'tenantId' | 'prefix' | 'permissions'>,
    lifetimeSeconds: number,
  ): Promise<void> {
    await this.pool.query(
      `WITH expired AS (
         DELETE FROM identity.api_keys WHERE hash IN (
           SELECT hash FROM identity.api_keys WHERE probe AND expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED)
       )
       INSERT INTO identity.api_keys (hash, key_id, tenant_id, name, prefix, permissions, created_at, expires_at, person, probe)
       VALUES (decode($1, 'hex'), $2::uuid, $3, '"probe"', $4, $5, now(), now() + make_interval(secs => $6), $2::uuid::text, true)`,
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
      expiresAt: row.expires_at?.toISOString() ?? null,
      revokedAt: row.revoked_at?.toISOString() ?? null,
    };
  }

  private async platformView(row: Row, mayRead: boolean): Promise<PlatformKeyView> {
    const owner = row.owner === null || !mayRead ? null : await this.keyring.reveal(PLATFORM_LOG, row.owner);
    return { ...(await this.view(row)), owner, person: row.person ?? row.key_id };
  }
}

const ofPerson = ({ key_id, tenant_id, person }: Row): KeyOfPerson => ({ keyId: key_id, tenantId: tenant_id, person });

async function revokeUnlessLast(client: PoolClient, keyId: string, at: string): Promise<Row | null> {
  // Seen as they are once the locks are held: what was revoked meanwhile is not among them.
  const { rows: lasting } = await client.query<Row>(
    `SELECT key_id FROM identity.api_keys
     WHERE tenant_id IS NULL AND '*' = ANY (permissions) AND revoked_at IS NULL AND expires_at IS NULL ORDER BY key_id FOR UPDATE`,
  );
  if (lasting.length === 1 && lasting[0]?.key_id === keyId)
    throw new DomainError('api_key.last', { detail: 'Make another key with the permission * and without an end, then revoke this one.' });
  const { rows } = await client.query<Row>(
    `UPDATE identity.api_keys SET revoked_at = coalesce(revoked_at, $2)
     WHERE key_id = $1 AND tenant_id IS NULL AND NOT probe RETURNING ${COLUMNS}`,
    [keyId, at],
  );
  return rows[0] ?? null;
}
