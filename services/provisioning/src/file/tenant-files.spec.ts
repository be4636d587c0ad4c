import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { DomainError } from '@tenantry/contracts/errors';
import type { RpcClient } from '@tenantry/messaging/rpc';
import { LocalStorage } from '@tenantry/tenancy/local-storage';
import { startPostgres } from '@tenantry/testing/postgres';
import { temporaryFolder } from '@tenantry/testing/tmp';
import { drizzle } from 'drizzle-orm/node-postgres';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FileWrites } from './file-writes.js';
import { TenantFiles } from './tenant-files.js';

const tenant = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b77';
const LIMIT = 100;

/** The gauge as quota-metering keeps it: idempotent by command, never over its limit, never below zero. */
class Gauge {
  used = 0;
  private readonly seen = new Map<string, number>();
  /** So many calls from now one is served, and its answer lost. */
  losesIn: number | null = null;
  isReached = () => true;

  readonly rpc = {
    call: async (_operation: unknown, { commandId, amount }: { commandId: string; amount: number }) => {
      if (!this.isReached()) throw new Error('died');
      const earlier = this.seen.get(commandId);
      if (earlier === undefined) {
        if (amount > 0 && this.used + amount > LIMIT) throw new DomainError('quota.exceeded');
        this.used = Math.max(0, this.used + amount);
        this.seen.set(commandId, amount);
      } else if (earlier !== amount) throw new DomainError('idempotency.mismatch');
      if (this.losesIn !== null && this.losesIn-- === 0) {
        this.losesIn = null;
        throw new DomainError('service.timeout');
      }
      return {};
    },
  } as unknown as RpcClient;
}
/** A process that dies at a call of the storage, before it or after it: from then on it does nothing more. */
class Dying extends LocalStorage {
  dies: { at: 'put' | 'delete' | 'size'; when: 'before' | 'after' } | null = null;
  isDead = false;
  private async mortal<T>(at: 'put' | 'delete' | 'size', work: () => Promise<T>): Promise<T> {
    const dies = this.dies?.at === at ? this.dies.when : null;
    if (dies === 'before') this.isDead = true;
    if (this.isDead) throw new Error('died');
    const result = await work();
    if (dies === 'after') this.isDead = true;
    if (this.isDead) throw new Error('died');
    return result;
  }
  override put(...args: Parameters<LocalStorage['put']>) {
    return this.mortal('put', () => super.put(...args));
  }
  override delete(...args: Parameters<LocalStorage['delete']>) {
    return this.mortal('delete', () => super.delete(...args));
  }
  override size(...args: Parameters<LocalStorage['size']>) {
    return this.mortal('size', () => super.size(...args));
  }
}

describe('files within a quota', () => {
  let pool: pg.Pool;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let stop: () => Promise<void>;
  let storage: Dying;
  let gauge: Gauge;
  let writes: FileWrites;
  let files: TenantFiles;
  beforeAll(async () => {
    const server = await startPostgres();
    pool = new pg.Pool({ connectionString: server.url, max: 2 });
    const files = ['0009_storage_writes.sql', '0070_uploads.sql'].map(
      (name) => new URL(`../../migrations/service/${name}`, import.meta.url),
    );
    const sql = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join(';');
    await pool.query('CREATE SCHEMA tenancy; CREATE TABLE tenancy.erased (tenant_id uuid PRIMARY KEY)');
    await pool.query(`CREATE SCHEMA provisioning; SET search_path = provisioning; ${sql}; RESET search_path;`);
    folder = await temporaryFolder();
    stop = async () => {
      await pool.end();
      await server.stop();
      await folder.remove();
    };
  }, 120_000);
  afterAll(() => stop?.());
  beforeEach(async () => {
    storage = new Dying(folder.path);
    await storage.release(tenant);
    await storage.allocate(tenant);
    await pool.query('DELETE FROM provisioning.file_writes');
    gauge = new Gauge();
    gauge.isReached = () => !storage.isDead;
    writes = new FileWrites({ pool, db: drizzle(pool) });
    files = new TenantFiles(storage, writes, gauge.rpc);
  });
  const bytes = (count: number) => Buffer.alloc(count, 'x');
  const stored = async () => {
    let sum = 0;
    for await (const file of storage.list(tenant)) sum += file.bytes;
    return sum;
  };
  /** What another process does later. */
  const settled = async () => {
    storage.dies = null;
    storage.isDead = false;
    for (const write of await writes.left(-1_000, 100)) await files.settleLeft(write);
    expect(await writes.left(-1_000, 100)).toEqual([]);
  };

  it('do not come back where the tenant was erased while one was on its way', async () => {
    await pool.query('INSERT INTO tenancy.erased VALUES ($1)', [tenant]);
    try {
      await expect(files.put(tenant, 'a', bytes(40))).rejects.toMatchObject({ code: 'tenant.deleted' });
      expect(await stored()).toBe(0);
    } finally {
      await pool.query('DELETE FROM tenancy.erased');
    }
  });

  it('hold what they have, whether they grow, shrink or go', async () => {
    await files.put(tenant, 'a', bytes(40));
    await files.put(tenant, 'b', bytes(50));
    expect(gauge.used).toBe(90);
    await files.put(tenant, 'a', bytes(10));
    await files.put(tenant, 'b', bytes(50));
    expect(gauge.used).toBe(60);
    await files.remove(tenant, 'b');
    await files.remove(tenant, 'b');
    expect(gauge.used).toBe(10);
    expect(await stored()).toBe(10);
  });

  it('are refused beyond it, and nothing is left of the attempt', async () => {
    await files.put(tenant, 'a', bytes(60));
    await expect(files.put(tenant, 'b', bytes(41))).rejects.toMatchObject({ code: 'quota.exceeded' });
    await expect(files.put(tenant, 'a', bytes(101))).rejects.toMatchObject({ code: 'quota.exceeded' });
    expect([gauge.used, await stored()]).toEqual([60, 60]);
    expect(await writes.left(-1_000, 10)).toEqual([]);
    await files.put(tenant, 'b', bytes(40));
  });

  it('are changed by one at a time', async () => {
    const other = await writes.begin(tenant, 'a');
    await expect(files.put(tenant, 'a', bytes(1))).rejects.toMatchObject({ code: 'file.busy' });
    await writes.end(other!.id);
    await files.put(tenant, 'a', bytes(1));
  });

  /** Part by part, as it comes over the network; `cutAfter` so many bytes the sender goes away. */
  const sent = async function* (size: number, cutAfter = Number.POSITIVE_INFINITY) {
    for (let come = 0; come < size; come += 10) {
      if (come >= cutAfter) throw new DomainError('request.malformed');
      yield bytes(Math.min(10, size - come));
    }
  };
  const unknown = { bytes: null, sha256: null };

  it('are taken without a length, with room for what comes', async () => {
    await files.put(tenant, 'a', bytes(30));
    expect(await files.receive(tenant, 'b', sent(65), unknown)).toMatchObject({ bytes: 65 });
    expect([gauge.used, await stored()]).toEqual([95, 95]);
    await expect(files.receive(tenant, 'c', sent(6), unknown)).rejects.toMatchObject({ code: 'quota.exceeded' });
    await expect(files.receive(tenant, 'b', sent(71), unknown)).rejects.toMatchObject({ code: 'quota.exceeded' });
    expect([gauge.used, await stored()]).toEqual([95, 95]);
    await files.receive(tenant, 'b', sent(70), unknown);
    expect([gauge.used, await stored(), await storage.unfinished(tenant)]).toEqual([100, 100, 0]);
  });

  it('have the length and the checksum that was said, or stay as they were', async () => {
    await files.put(tenant, 'a', bytes(5));
    const sha256 = createHash('sha256').update(bytes(20)).digest('hex');
    await expect(files.receive(tenant, 'a', sent(20), { bytes: 21, sha256: null })).rejects.toMatchObject({ code: 'request.malformed' });
    await expect(files.receive(tenant, 'a', sent(20), { bytes: 19, sha256: null })).rejects.toMatchObject({ code: 'request.malformed' });
    await expect(files.receive(tenant, 'a', sent(30), { bytes: 30, sha256 })).rejects.toMatchObject({ code: 'request.invalid' });
    expect([gauge.used, await stored()]).toEqual([5, 5]);
    expect(await files.receive(tenant, 'a', sent(20), { bytes: 20, sha256 })).toEqual({ bytes: 20, sha256 });
    expect([gauge.used, await stored()]).toEqual([20, 20]);
  });

  it('are not replaced by somebody who was taken for dead', async () => {
    await files.put(tenant, 'a', bytes(5));
    const late = async function* () {
      yield bytes(10);
      await settled();
      yield bytes(10);
    };
    await expect(files.receive(tenant, 'a', late(), { bytes: 20, sha256: null })).rejects.toMatchObject({ code: 'service.unavailable' });
    expect([gauge.used, await stored(), await storage.unfinished(tenant)]).toEqual([5, 5, 0]);
  });

  it('hold exactly what is stored once everything is settled, wherever processes died', async () => {
    const change = fc.record({
      key: fc.constantFrom('a', 'b'),
      size: fc.option(fc.integer({ min: 0, max: 70 }), { nil: null }),
      dies: fc.option(fc.record({ at: fc.constantFrom('put', 'delete', 'size'), when: fc.constantFrom('before', 'after') } as const), {
        nil: null,
      }),
      loses: fc.option(fc.nat(3), { nil: null }),
      known: fc.boolean(),
      cutAfter: fc.option(fc.nat(70), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 8 }), async (changes) => {
        await storage.release(tenant);
        await storage.allocate(tenant);
        await pool.query('DELETE FROM provisioning.file_writes');
        gauge.used = 0;
        for (const { key, size, dies, loses, known, cutAfter } of changes) {
          storage.dies = dies as Dying['dies'];
          gauge.losesIn = loses;
          const before = (await storage.part(tenant, key, 0, 0))?.etag;
          const done =
            size === null
              ? files.remove(tenant, key)
              : files.receive(tenant, key, sent(size, cutAfter), { bytes: known ? size : null, sha256: null });
          const isDone = await done.then(
            () => true,
            () => false,
          );
          // Half of a file is never seen.
          const now = await storage.part(tenant, key, 0, 0);
          expect(now?.etag === before || (now?.bytes ?? null) === size).toBe(true);
          if (isDone) expect(now?.bytes ?? null).toBe(size);
          gauge.losesIn = null;
          expect(gauge.used).toBeLessThanOrEqual(LIMIT);
          expect(await stored()).toBeLessThanOrEqual(gauge.used);
          await settled();
          expect([await stored(), await storage.unfinished(tenant)]).toEqual([gauge.used, 0]);
        }
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
