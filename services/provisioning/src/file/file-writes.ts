import { Injectable } from '@nestjs/common';
import { newId } from '@tenantry/contracts/ids';
import { Database } from '@tenantry/service/database';

/** A change of one file that is under way. */
export interface FileWrite {
  tenantId: string;
  key: string;
  id: string;
  /** What the file will have; 0 where it is deleted. */
  bytes: number;
  /** Null where it was not known yet: nothing was held. */
  bytesBefore: number | null;
}

/** The rows that say what is under way. Statements, no rules. */
@Injectable()
export class FileWrites {
  constructor(private readonly database: Database) {}

  /** Null where another change of the file is under way. */
  async begin(tenantId: string, key: string, bytes: number): Promise<FileWrite | null> {
    const id = newId();
    const { rowCount } = await this.database.pool.query(
      'INSERT INTO provisioning.file_writes (tenant_id, key, id, bytes) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
      [tenantId, key, id, bytes],
    );
    return rowCount === 1 ? { tenantId, key, id, bytes, bytesBefore: null } : null;
  }

  async found(id: string, bytesBefore: number): Promise<void> {
    await this.database.pool.query('UPDATE provisioning.file_writes SET bytes_before = $2 WHERE id = $1', [id, bytesBefore]);
  }

  async end(id: string): Promise<void> {
    await this.database.pool.query('DELETE FROM provisioning.file_writes WHERE id = $1', [id]);
  }

  /** From now on no row of the tenant is kept, nor any file. */
  async isErased(tenantId: string): Promise<boolean> {
    const { rowCount } = await this.database.pool.query('SELECT FROM tenancy.erased WHERE tenant_id = $1', [tenantId]);
    return rowCount !== 0;
  }

  /** Those that somebody began so long ago that he must have died. */
  async left(olderThanMs: number, limit: number): Promise<FileWrite[]> {
    const { rows } = await this.database.pool.query<{
      tenant_id: string;
      key: string;
      id: string;
      bytes: string;
      bytes_before: string | null;
    }>(
      `SELECT tenant_id, key, id, bytes, bytes_before FROM provisioning.file_writes
       WHERE begun_at < now() - $1 * interval '1 ms' ORDER BY begun_at LIMIT $2`,
      [olderThanMs, limit],
    );
    return rows.map(({ tenant_id, key, id, bytes, bytes_before }) => ({
      ...{ tenantId: tenant_id, key, id, bytes: Number(bytes) },
      bytesBefore: bytes_before === null ? null : Number(bytes_before),
    }));
  }
}
