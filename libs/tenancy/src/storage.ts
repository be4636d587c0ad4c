import type { Readable } from 'node:stream';

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
  abstract delete(tenantId: string, key: string): Promise<void>;
  /** Removes the tenant's prefix with all that is below it. */
  abstract release(tenantId: string): Promise<void>;
}
