import type { Readable } from 'node:stream';

export interface FilePage {
  files: { key: string; bytes: number }[];
  /** Whether others may follow. */
  more: boolean;
}

export interface FilePart {
  /** Of the whole file. */
  bytes: number;
  /** A strong entity tag of the whole file, with its quotes: another content has another one. */
  etag: string;
  content: Buffer;
}

/** Files of tenants. Keys are relative, `/`-separated; nothing outside the tenant's prefix can be named. */
export abstract class Storage {
  /** Makes the tenant's prefix, idempotently. */
  abstract allocate(tenantId: string): Promise<void>;
  /**
   * Whole or not at all: what was there stays until everything has come.
   * @param ready called when everything has come and nothing is replaced yet: what it throws ends it
   */
  abstract put(
    tenantId: string,
    key: string,
    content: Buffer | Readable,
    ready?: (bytes: number) => Promise<void>,
  ): Promise<{ bytes: number }>;
  /** Removes what writes of the file have left that never came to their end. Only where nobody writes it. */
  abstract abandon(tenantId: string, key: string): Promise<void>;
  /** How many writes of the tenant's files have begun and not ended, whether somebody is at them or not. */
  abstract unfinished(tenantId: string): Promise<number>;
  /** Null where there is no such file. Whole in memory: for what is known to be small. */
  abstract get(tenantId: string, key: string): Promise<Buffer | null>;
  /** The file's bytes as they come; null where there is no such file. */
  abstract read(tenantId: string, key: string): Promise<Readable | null>;
  /** `length` bytes from `offset` on, fewer where it ends before; null where there is no such file. */
  abstract part(tenantId: string, key: string, offset: number, length: number): Promise<FilePart | null>;
  /** Null where there is no such file. */
  abstract size(tenantId: string, key: string): Promise<number | null>;
  /** Every file of the tenant, in no particular order; none where the prefix does not exist. */
  abstract list(tenantId: string): AsyncIterable<{ key: string; bytes: number }>;
  /** Of the tenant's files in the order of their keys' UTF-8 bytes the first that come after `after` (empty: from the beginning). */
  abstract page(tenantId: string, after: string, limit: number): Promise<FilePage>;
  abstract delete(tenantId: string, key: string): Promise<void>;
  /** Removes the tenant's prefix with all that is below it, and what unfinished writes have left. */
  abstract release(tenantId: string): Promise<void>;
}
