import type { Kms } from '@tenantry/crypto/kms';
import { newSigningKey, type PublicJwk } from '@tenantry/crypto/signature';
import type { Pool } from 'pg';
import { signingContext } from '../keys/wrapping-context.js';

interface Row {
  kid: string;
  wrapped: Buffer;
  master_key: string | null;
}
const CURRENT = 'SELECT kid, wrapped, master_key FROM identity.signing_keys WHERE retired_at IS NULL';
const INSERT = 'INSERT INTO identity.signing_keys (kid, jwk, wrapped, master_key, made_by) VALUES ($1, $2, $3, $4, $5)';
/** Rotations one after the other: the second would find the key of the first to retire, which it can't see yet. */
const LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('identity.signing_keys', 0))";

/** The keys that the platform signs documents with. The first is made when it is needed; replicas agree on one. */
export class SigningKeys {
  constructor(
    private readonly pool: Pool,
    private readonly kms: Kms,
  ) {}

  /** The key that signs now; the private key as PKCS #8 DER. */
  async current(): Promise<{ kid: string; privateKey: Buffer }> {
    const { kid, wrapped, master_key } = await this.made();
    return { kid, privateKey: await this.kms.unwrap(wrapped, signingContext(kid), master_key) };
  }

  /** All there ever were, the current one first. */
  async published(): Promise<PublicJwk[]> {
    await this.made();
    const { rows } = await this.pool.query<{ jwk: PublicJwk }>(
      'SELECT jwk FROM identity.signing_keys ORDER BY retired_at DESC NULLS FIRST, kid',
    );
    return rows.map(({ jwk }) => jwk);
  }

  /** Another key signs from now on. One per command, however often it is repeated. @returns its id */
  async rotate(commandId: string): Promise<string> {
    const values = await this.newKey(commandId);
    const client = await this.pool.connect();
    let failed: unknown;
    try {
      await client.query('BEGIN');
      await client.query(LOCK);
      const { rows } = await client.query<{ kid: string }>('SELECT kid FROM identity.signing_keys WHERE made_by = $1', [commandId]);
      if (!rows[0]) {
        await client.query('UPDATE identity.signing_keys SET retired_at = clock_timestamp() WHERE retired_at IS NULL');
        await client.query(INSERT, values);
      }
      await client.query('COMMIT');
      return rows[0]?.kid ?? (values[0] as string);
    } catch (error) {
      failed = error;
      throw error;
    } finally {
      // With its transaction open it isn't given back.
      client.release(failed !== undefined);
    }
  }

  private async made(): Promise<Row> {
    const found = await this.pool.query<Row>(CURRENT);
    if (found.rows[0]) return found.rows[0];
    await this.pool.query(`${INSERT} ON CONFLICT DO NOTHING`, await this.newKey(null));
    // Ours, or that of a replica that was quicker.
    const { rows } = await this.pool.query<Row>(CURRENT);
    if (!rows[0]) throw new Error('there is no signing key, and none could be made');
    return rows[0];
  }

  private async newKey(commandId: string | null): Promise<unknown[]> {
    const { jwk, privateKey } = newSigningKey();
    return [jwk.kid, JSON.stringify(jwk), await this.kms.wrap(privateKey, signingContext(jwk.kid)), this.kms.current, commandId];
  }
}
