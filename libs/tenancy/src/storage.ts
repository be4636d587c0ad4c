import type { Readable } from 'node:stream';

export interface FilePage {
  files: { key: string; bytes: number }[];
  /** Whether others may follow. */
  more: boolean;
}

/** Files of tenants. Keys are relative, `/`-separated; nothing outside the tenant's prefix can be named. */
export abstract class Storage {
  /** Makes the tenant's prefix, idempotently. */
  abstract allocate(tenantId: string): Promise<void>;
  abstract put(tenantId: string, key: string, content: Buffer | Readable): Promise<{ bytes: number }>;
  /** Null where there is no such file. Whole in memory: for what is known to be small. */
  abstract get(tenantId: string, key: string): Promise<Buffer | null>;
  /** The file's bytes as they come; null where there is no such file. */
  abstract read(tenantId: string, key: string): Promise<Readable | null>;
  /** Null where there is no such file. */
  abstract size(tenantId: string, key: string): Promise<number | null>;
  /** Every file of the tenant, in no particular order; none where the prefix does not exist. */
  abstract list(tenantId: string): AsyncIterable<{ key: string; bytes: number }>;
  /** Of the tenant's files in the order of their keys' UTF-8 bytes the first that come after `after` (empty: from the beginning). */
  abstract page(tenantId: string, after: string, limit: number): Promise<FilePage>;
  abstract delete(tenantId: string, key: string): Promise<void>;
  /** Removes the tenant's prefix with all that is below it. */
  abstract release(tenantId: string): Promise<void>;
}
