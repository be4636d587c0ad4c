import type { Kms } from '@tenantry/crypto/kms';
import { newSigningKey, type PublicJwk } from '@tenantry/crypto/signature';
import type { Pool } from 'pg';

interface Row {
  kid: string;
  wrapped: Buffer;
}
const CURRENT = 'SELECT kid, wrapped FROM identity.signing_keys WHERE retired_at IS NULL';

/** The keys that the platform signs documents with. The first is made when it is needed; replicas agree on one. */
export class SigningKeys {
  constructor(
    private readonly pool: Pool,
    private readonly kms: Kms,
  ) {}

  /** The key that signs now; the private key as PKCS #8 DER. */
  async current(): Promise<{ kid: string; privateKey: Buffer }> {
    const { kid, wrapped } = await this.made();
    return { kid, privateKey: await this.kms.unwrap(wrapped, contextOf(kid)) };
  }

  /** All there ever were, the current one first. */
  async published(): Promise<PublicJwk[]> {
    await this.made();
    const { rows } = await this.pool.query<{ jwk: PublicJwk }>(
      'SELECT jwk FROM identity.signing_keys ORDER BY retired_at DESC NULLS FIRST, kid',
    );
    return rows.map(({ jwk }) => jwk);
  }

  private async made(): Promise<Row> {
    const found = await this.pool.query<Row>(CURRENT);
    if (found.rows[0]) return found.rows[0];
    const { jwk, privateKey } = newSigningKey();
    await this.pool.query('INSERT INTO identity.signing_keys (kid, jwk, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
      jwk.kid,
      JSON.stringify(jwk),
      await this.kms.wrap(privateKey, contextOf(jwk.kid)),
    ]);
    // Ours, or that of a replica that was quicker.
    const { rows } = await this.pool.query<Row>(CURRENT);
    if (!rows[0]) throw new Error('there is no signing key, and none could be made');
    return rows[0];
  }
}

const contextOf = (kid: string) => `signing/${kid}`;
