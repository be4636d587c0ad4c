import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { storeCallsOf } from '@tenantry/contracts/stores/operations';
import { stores } from '@tenantry/contracts/stores/stores';
import { Keyring } from '@tenantry/crypto/keyring';
import { sealFile } from '@tenantry/crypto/sealed-file';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { RpcClient } from '@tenantry/messaging/rpc';
import { type After, readTablePage } from '@tenantry/service/table-page';
import { identifier } from '@tenantry/tenancy/sql';
import { Storage } from '@tenantry/tenancy/storage';
import { Tenants } from '@tenantry/tenancy/tenants';
import { revealed } from './revealed.js';

const EVENTS_AT_ONCE = 500;
/** A tenant may have had any number of files. */
const DELETED_AT_ONCE = 20;

export interface ExportedFile {
  name: string;
  records: number;
  /** Of the clear content. */
  bytes: number;
  sha256: string;
}
/** Where the platform keeps what is no tenant's: below its own log's id. */
export const exportFolder = (tenantId: string, operationId: string): string => `exports/${tenantId}/${operationId}`;
export const exportKeySubject = (operationId: string): string => `export-${operationId}`;

type Records = AsyncIterable<unknown[]>;
/** Each is a record as JSON. */
type Lines = AsyncIterable<string[]>;

/**
 * Everything of a tenant, in clear, as JSON Lines: its events, its rows in every service and in its own schemas, its files. Each file is
 * encrypted with the export's own key, whose destruction ends the export. Only the manifest is readable, and it names nothing personal.
 */
@Injectable()
export class TenantExport {
  constructor(
    private readonly log: TenantLog,
    private readonly rpc: RpcClient,
    private readonly tenants: Tenants,
    private readonly storage: Storage,
    private readonly keyring: Keyring,
  ) {}

  /** May be repeated: a file is replaced whole. */
  async write(
    tenantId: string,
    operationId: string,
    createdAt: string,
  ): Promise<{ folder: string; manifestSha256: string; files: ExportedFile[] }> {
    const folder = exportFolder(tenantId, operationId);
    await this.storage.allocate(PLATFORM_LOG);
    const files: ExportedFile[] = [await this.lines(folder, operationId, 'events.jsonl', asJson(this.events(tenantId)))];
    // One after the other: an export takes as long as it takes, and leaves the rest of the system its memory.
    for (const [name, lines] of await this.tables(tenantId)) files.push(await this.lines(folder, operationId, name, lines));
    files.push(...(await this.files(tenantId, folder, operationId)));
    const manifest = Buffer.from(
      `${JSON.stringify({ format: 'tenantry-export', version: 1, tenantId, operationId, createdAt, cipher: 'aes-256-gcm', files }, null, 2)}\n`,
    );
    await this.storage.put(PLATFORM_LOG, `${folder}/manifest.json`, manifest);
    return { folder, manifestSha256: createHash('sha256').update(manifest).digest('hex'), files };
  }

  /** Removes what was written. May be repeated. */
  async remove(tenantId: string, operationId: string): Promise<void> {
    const prefix = `${exportFolder(tenantId, operationId)}/`;
    const keys: string[] = [];
    for await (const { key } of this.storage.list(PLATFORM_LOG)) if (key.startsWith(prefix)) keys.push(key);
    for (let from = 0; from < keys.length; from += DELETED_AT_ONCE)
      await Promise.all(keys.slice(from, from + DELETED_AT_ONCE).map((key) => this.storage.delete(PLATFORM_LOG, key)));
  }

  private async lines(folder: string, operationId: string, name: string, lines: Lines): Promise<ExportedFile> {
    let count = 0;
    const file = await this.seal(folder, operationId, name, async function* () {
      for await (const some of lines) {
        count += some.length;
        if (some.length > 0) yield Buffer.from(`${some.join('\n')}\n`);
      }
    });
    return { ...file, records: count };
  }

  private async seal(
    folder: string,
    operationId: string,
    name: string,
    content: () => AsyncIterable<Buffer>,
  ): Promise<Omit<ExportedFile, 'records'>> {
    const subject = exportKeySubject(operationId);
    const key = (await this.keyring.keys(PLATFORM_LOG, [subject])).get(subject);
    if (!key) throw new Error('the export has no key');
    const digest = createHash('sha256');
    let bytes = 0;
    const counted = async function* () {
      for await (const chunk of content()) {
        digest.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    };
    await this.storage.put(PLATFORM_LOG, `${folder}/${name}.enc`, Readable.from(sealFile(key.key, name, counted())));
    return { name, bytes, sha256: digest.digest('hex') };
  }

  /** Up to where the log was when the export began: what comes after is of the erasure itself. */
  private async *events(tenantId: string): Records {
    const [head] = await this.log.heads({ tenantIds: [tenantId] });
    const last = head?.position ?? -1;
    for (let from = 0; from <= last; ) {
      const { events, scannedTo } = await this.log.readLog(tenantId, from, { limit: EVENTS_AT_ONCE });
      const wanted = events.filter(({ position }) => position <= last);
      yield await revealed(this.keyring, tenantId, wanted);
      from = scannedTo + 1;
    }
  }

  private async *clear(tenantId: string, records: Records): Records {
    for await (const some of records) yield await revealed(this.keyring, tenantId, some);
  }

  private async tables(tenantId: string): Promise<[string, Lines][]> {
    const exported = stores.filter((store) => store.kind === 'table' && store.exported !== null);
    const ofServices = exported.map((store): [string, Lines] => [
      `services/${store.name}.jsonl`,
      asJson(
        this.clear(
          tenantId,
          paged((after) => this.rpc.call(storeCallsOf(store.owner).page, { tenantId, store: store.name, after })),
        ),
      ),
    ]);
    const place = await this.tenants.placement(tenantId, { fresh: true });
    if (!place?.ready) return ofServices;
    const named = await this.tenants.withTenant(tenantId, async ({ client, placement }) => {
      const { rows } = await client.query<{ schema: string; name: string; of_tenant: boolean }>(
        `SELECT n.nspname AS schema, c.relname AS name,
           EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS of_tenant
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p') AND CASE
           WHEN pg_partition_root(c.oid) IS NULL THEN true
           -- Rows without a key are known by their places, which only the partitions have.
           WHEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = pg_partition_root(c.oid) AND i.indisprimary) THEN NOT c.relispartition
           ELSE c.relkind = 'r' END ORDER BY 1, 2`,
        [[placement.schema, placement.appSchema]],
      );
      return rows.map((row) => ({ ...row, product: row.schema === placement.appSchema }));
    });
    const ofSchemas = named.map(({ schema, name, of_tenant, product }): [string, Lines] => {
      const condition = of_tenant ? 't.tenant_id = $1::uuid' : '$1::uuid IS NOT NULL';
      const source = { table: `${identifier(schema)}.${identifier(name)}`, condition, parameter: tenantId };
      const rows = paged((after) => this.tenants.withTenant(tenantId, ({ client }) => readTablePage(client, source, after)));
      // What the product has is nothing that we encrypted: its rows stay as PostgreSQL writes them, every digit of their numbers included.
      if (product) return [`product/${name}.jsonl`, rows];
      return [`control-plane/${name}.jsonl`, asJson(this.clear(tenantId, parsed(rows)))];
    });
    return [...ofServices, ...ofSchemas];
  }

  /** The names of files may be personal: they are in the index, which is encrypted. */
  private async files(tenantId: string, folder: string, operationId: string): Promise<ExportedFile[]> {
    const index: { file: string; key: string; bytes: number; sha256: string }[] = [];
    const written: ExportedFile[] = [];
    for await (const { key } of this.storage.list(tenantId)) {
      const content = await this.storage.read(tenantId, key);
      if (content === null) continue; // deleted meanwhile
      const name = `files/${written.length}`;
      const file = { ...(await this.seal(folder, operationId, name, () => content as AsyncIterable<Buffer>)), records: 1 };
      written.push(file);
      index.push({ file: name, key, bytes: file.bytes, sha256: file.sha256 });
    }
    return [await this.lines(folder, operationId, 'files.jsonl', asJson(once(index))), ...written];
  }
}

async function* once(records: unknown[]): Records {
  yield records;
}
async function* asJson(records: Records): Lines {
  for await (const some of records) yield some.map((record) => JSON.stringify(record));
}
async function* parsed(lines: Lines): Records {
  for await (const some of lines) yield some.map((line) => JSON.parse(line));
}
async function* paged<R>(read: (after: After) => Promise<{ rows: R[]; next: After }>): AsyncIterable<R[]> {
  let after: After = null;
  do {
    const page: { rows: R[]; next: After } = await read(after);
    yield page.rows;
    after = page.next;
  } while (after !== null);
}
