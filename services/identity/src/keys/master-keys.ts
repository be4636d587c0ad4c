import { DomainError } from '@tenantry/contracts/errors';
import type { getMasterKey } from '@tenantry/contracts/identity/key-routes';
import type { rewrapKeys } from '@tenantry/contracts/identity/operations';
import type { Kms } from '@tenantry/crypto/kms';
import type { Pool } from 'pg';
import type { z } from 'zod';
import { signingContext, tenantContext } from './wrapping-context.js';

const BATCH = 200;
const SAMPLE = 20;

interface Wrapped {
  id: string;
  version: number;
  wrapped: Buffer;
  master_key: string | null;
}
interface Unopened {
  tenant_id: string | null;
  version: number | null;
  kid: string | null;
  master_key: string | null;
  unopened_at: Date;
  total: number;
}
type Batch = z.infer<typeof rewrapKeys.output>;
type State = z.infer<(typeof getMasterKey.answers)[200]>;

// What is wrapped by another master key, or nobody knows by which, and what was not opened before: it may have been put back as it was under
// the current one. Behind what was seen already, for what can't be opened stays so.
const OF_TENANTS = `
  SELECT tenant_id AS id, version, wrapped, master_key FROM identity.tenant_keys
  WHERE ($2::uuid IS NULL OR (tenant_id, version) > ($2, $3::int)) AND wrapped IS NOT NULL
    AND (master_key IS DISTINCT FROM $1 OR unopened_at IS NOT NULL) AND get_byte(uuid_send(tenant_id), 15) % 16 = $4
  ORDER BY tenant_id, version LIMIT ${BATCH}`;
const OF_SIGNING = `
  SELECT kid AS id, 0 AS version, wrapped, master_key FROM identity.signing_keys
  WHERE ($2::text IS NULL OR kid > $2) AND (master_key IS DISTINCT FROM $1 OR unopened_at IS NOT NULL) ORDER BY kid LIMIT ${BATCH}`;

// Only what is still as it was read: a key that was destroyed meanwhile stays destroyed, and no lock is held while the KMS works.
const PUT_TENANTS = `
  UPDATE identity.tenant_keys t SET wrapped = new.wrapped, master_key = $1, unopened_at = NULL
  FROM unnest($2::uuid[], $3::int[], $4::bytea[], $5::bytea[]) AS new(id, version, was, wrapped)
  WHERE t.tenant_id = new.id AND t.version = new.version AND t.wrapped = new.was`;
const PUT_SIGNING = `
  UPDATE identity.signing_keys s SET wrapped = new.wrapped, master_key = $1, unopened_at = NULL
  FROM unnest($2::text[], $3::int[], $4::bytea[], $5::bytea[]) AS new(id, version, was, wrapped)
  WHERE s.kid = new.id AND s.wrapped = new.was`;
const MARK_TENANTS = `
  UPDATE identity.tenant_keys t SET unopened_at = now() FROM unnest($1::uuid[], $2::int[], $3::bytea[]) AS seen(id, version, was)
  WHERE t.tenant_id = seen.id AND t.version = seen.version AND t.wrapped = seen.was AND t.unopened_at IS NULL`;
const MARK_SIGNING = `
  UPDATE identity.signing_keys s SET unopened_at = now() FROM unnest($1::text[], $2::int[], $3::bytea[]) AS seen(id, version, was)
  WHERE s.kid = seen.id AND s.wrapped = seen.was AND s.unopened_at IS NULL`;
const UNOPENED = `
  SELECT *, count(*) OVER ()::int AS total FROM (
    SELECT tenant_id, version, NULL AS kid, master_key, unopened_at FROM identity.tenant_keys WHERE unopened_at IS NOT NULL AND wrapped IS NOT NULL
    UNION ALL SELECT NULL, NULL, kid, master_key, unopened_at FROM identity.signing_keys WHERE unopened_at IS NOT NULL
  ) AS every ORDER BY tenant_id, version, kid LIMIT 100`;

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

  /**
   * Keys by the master key that wraps them; null stands for those of which nobody wrote it down, and which may need any. `removable` are
   * those that no key needs: one that can't be opened needs what is said to have wrapped it, for with that its row can be put back.
   */
  async state(): Promise<State> {
    const [wrapped, { rows }] = await Promise.all([this.wrapped(), this.pool.query<Unopened>(UNOPENED)]);
    const { current, known } = this.kms;
    const isNeeded = (name: string) => wrapped.some(({ masterKey }) => masterKey === null || masterKey === name);
    const items = rows.map(({ tenant_id: tenantId, version, kid, master_key: masterKey, unopened_at }) => ({
      ...{ tenantId, keyVersion: version, signingKeyId: kid, masterKey },
      since: unopened_at.toISOString(),
    }));
    return {
      ...{ current, known: [...known], wrapped },
      removable: known.filter((name) => name !== current && !isNeeded(name)),
      unopened: { keys: rows[0]?.total ?? 0, items },
    };
  }

  private async wrapped(): Promise<State['wrapped']> {
    const { rows } = await this.pool.query<{ master_key: string | null; keys: number }>(COUNTS);
    return rows.map(({ master_key: masterKey, keys }) => ({ masterKey, keys }));
  }

  /**
   * One batch. Any number of processes may do so at once, and die at it: it ends with what is still to be done being less.
   * @param portion last hexadecimal digit of the tenants' ids; null for the signing keys
   * @param from where the batch before has ended
   * @throws DomainError `keys.other_master_key`
   */
  async rewrap(to: string, portion: number | null, from: Batch['from']): Promise<Batch> {
    if (to !== this.kms.current)
      throw new DomainError('keys.other_master_key', {
        detail: `Identity wraps with the master key ${this.kms.current} here, not with ${to}: give all its processes the same files, then start again`,
      });
    const isSigning = portion === null;
    const after = from?.id ?? null;
    const { rows } = isSigning
      ? await this.pool.query<Wrapped>(OF_SIGNING, [to, after])
      : await this.pool.query<Wrapped>(OF_TENANTS, [to, after, from?.version ?? null, portion]);
    const last = rows.at(-1);
    if (!last) return { rewrapped: 0, unopened: [], from: null, isLast: true };
    const opened = await Promise.allSettled(rows.map((row) => this.opened(row, isSigning)));
    const keys = rows.map((row, index) => ({ row, key: opened[index] as PromiseSettledResult<Buffer> }));
    const unopened = keys.flatMap(({ row, key }) => (key.status === 'rejected' ? [row] : []));
    const made = await Promise.all(
      keys.flatMap(({ row, key }) => (key.status === 'fulfilled' ? [this.wrappedAnew(row, key.value, isSigning)] : [])),
    );
    if (unopened.length > 0) await this.pool.query(isSigning ? MARK_SIGNING : MARK_TENANTS, columnsOf(unopened));
    const put = isSigning ? PUT_SIGNING : PUT_TENANTS;
    const { rowCount } = await this.pool.query(put, [to, ...columnsOf(made), made.map(({ anew }) => anew)]);
    return {
      ...{ rewrapped: rowCount ?? 0, unopened: unopened.map(cursorOf) },
      ...{ from: cursorOf(last), isLast: rows.length < BATCH },
    };
  }

  /**
   * What the tables need must be there, or tenants would fail one by one, each when its key is next asked for.
   * @throws Error that names the master key that is missing
   */
  async demandAll(): Promise<void> {
    const wrapped = await this.wrapped();
    const missing = wrapped.filter(({ masterKey }) => masterKey !== null && !this.kms.known.includes(masterKey));
    if (missing.length > 0) {
      const named = missing.map(({ masterKey, keys }) => `${masterKey} (${keys} keys)`).join(', ');
      throw new Error(`Master keys that are still needed are not there: ${named}. Put their files back, wrap anew, then remove them`);
    }
    if (!wrapped.some(({ masterKey }) => masterKey === null)) return;
    // One master key has wrapped all of them: that any can be opened says that it is there. One that can't be is no reason to stay away.
    const { rows } = await this.pool.query<Wrapped>(
      `SELECT tenant_id AS id, version, wrapped, master_key FROM identity.tenant_keys WHERE master_key IS NULL AND wrapped IS NOT NULL
       ORDER BY unopened_at NULLS FIRST LIMIT ${SAMPLE}`,
    );
    const opened = await Promise.allSettled(rows.map((row) => this.opened(row, false)));
    const [failed] = opened.flatMap((one) => (one.status === 'rejected' ? [one] : []));
    if (failed && !opened.some(({ status }) => status === 'fulfilled')) throw failed.reason;
  }

  private async opened(row: Wrapped, isSigning: boolean): Promise<Buffer> {
    return this.kms.unwrap(row.wrapped, contextOf(row, isSigning), row.master_key);
  }

  private async wrappedAnew(row: Wrapped, key: Buffer, isSigning: boolean): Promise<Wrapped & { anew: Buffer }> {
    return { ...row, anew: await this.kms.wrap(key, contextOf(row, isSigning)) };
  }
}

const contextOf = ({ id, version }: Wrapped, isSigning: boolean) => (isSigning ? signingContext(id) : tenantContext(id, version));
const cursorOf = ({ id, version }: Wrapped) => ({ id, version });
const columnsOf = (rows: readonly Wrapped[]) => [
  rows.map(({ id }) => id),
  rows.map(({ version }) => version),
  rows.map(({ wrapped }) => wrapped),
];
