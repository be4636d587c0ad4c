import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { deleteFile, getFile, listFiles, MAX_FILE_BYTES, putFile } from '@tenantry/contracts/tenant/file-routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Storage } from '@tenantry/tenancy/storage';
import { TenantFiles } from './tenant-files.js';

const DEFAULT_LIMIT = 100;

@Controller()
export class FilesRpc {
  constructor(
    private readonly files: TenantFiles,
    private readonly storage: Storage,
    private readonly log: TenantLog,
  ) {}

  @Handles(listFiles)
  async list({ tenantId, query: { cursor, limit = DEFAULT_LIMIT } }: Call<typeof listFiles>): Reply<typeof listFiles> {
    await this.demand(tenantId);
    const after = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString();
    // The storage has no order that all of them share: the smallest so far are kept.
    let items: { key: string; bytes: number }[] = [];
    const smallest = () => {
      items = items.sort((a, b) => (a.key < b.key ? -1 : 1)).slice(0, limit + 1);
    };
    for await (const file of this.storage.list(tenantId)) {
      if (file.key > after) items.push(file);
      if (items.length > 4 * limit) smallest();
    }
    smallest();
    const shown = items.slice(0, limit);
    const nextCursor = items.length > limit ? Buffer.from(shown.at(-1)?.key ?? '').toString('base64url') : null;
    return { status: 200, body: { items: shown, nextCursor } };
  }

  @Handles(getFile)
  async get({ tenantId, params: { key } }: Call<typeof getFile>): Reply<typeof getFile> {
    const bytes = await this.storage.size(tenantId, key);
    if (bytes === null) throw new DomainError('file.not_found');
    if (bytes > MAX_FILE_BYTES)
      throw new DomainError('file.too_large', { detail: `It has ${bytes} bytes; ${MAX_FILE_BYTES} can be sent this way` });
    const content = await this.storage.get(tenantId, key);
    if (content === null) throw new DomainError('file.not_found');
    return { status: 200, body: { key, bytes: content.length, content: content.toString('base64') } };
  }

  @Handles(putFile)
  async put({ tenantId, params: { key }, body }: Call<typeof putFile>): Reply<typeof putFile> {
    await this.demand(tenantId);
    const { bytes } = await this.files.put(tenantId, key, Buffer.from(body.content, 'base64'));
    return { status: 200, body: { key, bytes } };
  }

  @Handles(deleteFile)
  async delete({ tenantId, params: { key } }: Call<typeof deleteFile>): Reply<typeof deleteFile> {
    await this.demand(tenantId);
    await this.files.remove(tenantId, key);
    return { status: 204, body: undefined };
  }

  private async demand(tenantId: string): Promise<void> {
    const [head] = await this.log.heads({ tenantIds: [tenantId] });
    if (!head || head.position < 0) throw new DomainError('tenant.not_found');
  }
}
