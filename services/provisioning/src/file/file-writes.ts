import { Injectable } from '@nestjs/common';
import { newId } from '@tenantry/contracts/ids';
import { Database } from '@tenantry/service/database';

/** A change of one file that is under way. */
export interface FileWrite {
  tenantId: string;
  key: string;
  id: string;
  /** Null where it was not known yet: nothing was held. */
  bytesBefore: number | null;
  /** Room for more than it had before: what is held for certain. */
  held: number;
  /** Asked for last: whether it is held is not known. */
  pending: number | null;
  /** Of `pending`, or of what was held last. */
  steps: number;
}

/** The rows that say what is under way. Statements, no rules. */
@Injectable()
export class FileWrites {
  constructor(private readonly database: Database) {}

  /** Null where another change of the file is under way. */
  async begin(tenantId: string, key: string): Promise<FileWrite | null> {
    const id = newId();
    const { rowCount } = await this.database.pool.query(
      'INSERT INTO provisioning.file_writes (tenant_id, key, id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [tenantId, key, id],
    );
    return rowCount === 1 ? { tenantId, key, id, bytesBefore: null, held: 0, pending: null, steps: 0 } : null;
  }

  async found(id: string, bytesBefore: number): Promise<void> {
    await this.database.pool.query('UPDATE provisioning.file_writes SET bytes_before = $2 WHERE id = $1', [id, bytesBefore]);
  }

  /** What is known to be held, and what is asked for next. @returns false where somebody has settled the change meanwhile */
  async holding({ id, held, pending, steps }: FileWrite): Promise<boolean> {
    const { rowCount } = await this.database.pool.query(
      'UPDATE provisioning.file_writes SET held = $2, pending = $3, steps = $4, renewed_at = now() WHERE id = $1',
      [id, held, pending, steps],
    );
    return rowCount === 1;
  }

  /** Somebody is at it. @returns false where somebody else has settled it meanwhile */
  async renew(id: string): Promise<boolean> {
    const { rowCount } = await this.database.pool.query('UPDATE provisioning.file_writes SET renewed_at = now() WHERE id = $1', [id]);
    return rowCount === 1;
  }

  async end(id: string): Promise<void> {
    await this.database.pool.query('DELETE FROM provisioning.file_writes WHERE id = $1', [id]);
  }

  /** From now on no row of the tenant is kept, nor any file. */
  async isErased(tenantId: string): Promise<boolean> {
    const { rowCount } = await this.database.pool.query('SELECT FROM tenancy.erased WHERE tenant_id = $1', [tenantId]);
    return rowCount !== 0;
  }

  /** Those that nobody has been at for so long that whoever was must have died. */
  async left(silentMs: number, limit: number): Promise<FileWrite[]> {
    const { rows } = await this.database.pool.query<{
      tenant_id: string;
      key: string;
      id: string;
      bytes_before: string | null;
      held: string;
      pending: string | null;
      steps: number;
    }>(
      `SELECT tenant_id, key, id, bytes_before, held, pending, steps FROM provisioning.file_writes
       WHERE renewed_at < now() - $1 * interval '1 ms' ORDER BY renewed_at LIMIT $2`,
      [silentMs, limit],
    );
    return rows.map(({ tenant_id, key, id, bytes_before, held, pending, steps }) => ({
      ...{ tenantId: tenant_id, key, id, steps },
      bytesBefore: numberOf(bytes_before),
      held: Number(held),
      pending: numberOf(pending),
    }));
  }
}

const numberOf = (text: string | null): number | null => (text === null ? null : Number(text));
