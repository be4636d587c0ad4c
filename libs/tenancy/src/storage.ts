import type { Readable } from 'node:stream';

/** Files of tenants. Keys are relative, `/`-separated; nothing outside the tenant's prefix can be named. */
export abstract class Storage {
  /** Makes the tenant's prefix, idempotently. */
  abstract allocate(tenantId: string): Promise<void>;
  abstract put(tenantId: string, key: string, content: Buffer | Readable): Promise<{ bytes: number }>;
  /** Null where there is no such file. */
  abstract get(tenantId: string, key: string): Promise<Buffer | null>;
  abstract delete(tenantId: string, key: string): Promise<void>;
  /** Removes the tenant's prefix with all that is below it. */
  abstract release(tenantId: string): Promise<void>;
}
