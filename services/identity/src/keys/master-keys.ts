import { DomainError } from '@tenantry/contracts/errors';
import type { rewrapKeys } from '@tenantry/contracts/identity/operations';
import type { Kms } from '@tenantry/crypto/kms';
import type { Pool } from 'pg';
import type { z } from 'zod';
import { signingContext, tenantContext } from './wrapping-context.js';

const BATCH = 200;

interface Wrapped {
  id: string;
  version: number;
  wrapped: Buffer;
  master_key: string | null;
}

// What is wrapped by another master key, or nobody knows by which.
const OF_TENANTS = `
  SELECT tenant_id AS id, version, wrapped, master_key FROM identity.tenant_keys
  WHERE ($2::uuid IS NULL OR tenant_id >= $2) AND master_key IS DISTINCT FROM $1 AND wrapped IS NOT NULL AND get_byte(uuid_send(tenant_id), 15) % 16 = $3
  ORDER BY tenant_id, version LIMIT ${BATCH}`;
const OF_SIGNING = `
  SELECT kid AS id, 0 AS version, wrapped, master_key FROM identity.signing_keys WHERE master_key IS DISTINCT FROM $1 ORDER BY kid LIMIT ${BATCH}`;

// Only what is still as it was read: a key that was destroyed meanwhile stays destroyed, and no lock is held while the KMS works.
const PUT_TENANTS = `
  UPDATE identity.tenant_keys t SET wrapped = new.wrapped, master_key = $1
  FROM unnest($2::uuid[], $3::int[], $4::bytea[], $5::bytea[]) AS new(id, version, was, wrapped)
  WHERE t.tenant_id = new.id AND t.version = new.version AND t.wrapped = new.was`;
const PUT_SIGNING = `
  UPDATE identity.signing_keys s SET wrapped = new.wrapped, master_key = $1
  FROM unnest($2::text[], $3::int[], $4::bytea[], $5::bytea[]) AS new(id, version, was, wrapped)
  WHERE s.kid = new.id AND s.wrapped = new.was`;

const COUNTS = `
  SELECT master_key, count(*)::int AS keys FROM (
    SELECT master_key FROM identity.tenant_keys WHERE wrapped IS NOT NULL UNION ALL SELECT master_key FROM identity.signing_keys
  ) AS every GROUP BY master_key ORDER BY master_key`;

/** Which master key wraps what; and the way from one to another. What is wrapped stays what it was. */
export class MasterKeys {
  constructor(
    private readonly pool: Pool,
    private readonly kms: Kms,
  ) {}

  get current(): string {
    return this.kms.current;
  }

  /** Keys by the master key that wraps them; null stands for those of which nobody wrote it down. */
  async state(): Promise<{ current: string; known: string[]; wrapped: { masterKey: string | null; keys: number }[] }> {
    const { rows } = await this.pool.query<{ master_key: string | null; keys: number }>(COUNTS);
    const wrapped = rows.map(({ master_key: masterKey, keys }) => ({ masterKey, keys }));
    return { current: this.kms.current, known: [...this.kms.known], wrapped };
  }

  /**
   * One batch. Any number of processes may do so at once, and die at it: it ends with what is still to be done being less.
   * @param portion last hexadecimal digit of the tenants' ids; null for the signing keys
   * @param from where the batch before has ended
   * @throws DomainError `keys.other_master_key`
   */
  async rewrap(to: string, portion: number | null, from: string | null): Promise<z.infer<typeof rewrapKeys.output>> {
    if (to !== this.kms.current)
      throw new DomainError('keys.other_master_key', {
        detail: `Identity wraps with the master key ${this.kms.current} here, not with ${to}: give all its processes the same files, then start again`,
      });
    const { rows } =
      portion === null ? await this.pool.query<Wrapped>(OF_SIGNING, [to]) : await this.pool.query<Wrapped>(OF_TENANTS, [to, from, portion]);
    if (rows.length === 0) return { rewrapped: 0, from: null, isLast: true };
    const made = await Promise.all(rows.map((row) => this.wrappedAnew(row, portion === null)));
    const values = [rows.map(({ id }) => id), rows.map(({ version }) => version), rows.map(({ wrapped }) => wrapped), made];
    const { rowCount } = await this.pool.query(portion === null ? PUT_SIGNING : PUT_TENANTS, [to, ...values]);
    // The last tenant once more: its other versions may not have been among them.
    const last = portion === null ? null : (rows.at(-1)?.id ?? null);
    return { rewrapped: rowCount ?? 0, from: last, isLast: rows.length < BATCH };
  }

  /**
   * What the tables need must be there, or tenants would fail one by one, each when its key is next asked for.
   * @throws Error that names the master key that is missing
   */
  async demandAll(): Promise<void> {
    const { wrapped } = await this.state();
    const missing = wrapped.filter(({ masterKey }) => masterKey !== null && !this.kms.known.includes(masterKey));
    if (missing.length > 0) {
      const named = missing.map(({ masterKey, keys }) => `${masterKey} (${keys} keys)`).join(', ');
      throw new Error(`Master keys that are still needed are not there: ${named}. Put their files back, wrap anew, then remove them`);
    }
    if (!wrapped.some(({ masterKey }) => masterKey === null)) return;
    const { rows } = await this.pool.query<Wrapped>(
      `SELECT tenant_id AS id, version, wrapped, master_key FROM identity.tenant_keys WHERE master_key IS NULL AND wrapped IS NOT NULL LIMIT 1`,
    );
    if (rows[0]) await this.kms.unwrap(rows[0].wrapped, tenantContext(rows[0].id, rows[0].version), null);
  }

  private async wrappedAnew({ id, version, wrapped, master_key }: Wrapped, isSigning: boolean): Promise<Buffer> {
    const context = isSigning ? signingContext(id) : tenantContext(id, version);
    return this.kms.wrap(await this.kms.unwrap(wrapped, context, master_key), context);
  }
}
