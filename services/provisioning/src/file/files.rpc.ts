import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { deleteFile, getFile, listFiles, MAX_FILE_BYTES, putFile } from '@tenantry/contracts/tenant/file-routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Storage } from '@tenantry/tenancy/storage';
import { segmentsOf } from '@tenantry/tenancy/storage-key';
import { demandTenant } from './known-tenant.js';
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
    await demandTenant(this.log, tenantId);
    const after = cursor === undefined ? '' : keyOf(cursor);
    const { files, more } = await this.storage.page(tenantId, after, limit);
    const last = files.at(-1);
    const nextCursor = more && last !== undefined ? Buffer.from(last.key).toString('base64url') : null;
    return { status: 200, body: { items: files, nextCursor } };
  }

  @Handles(getFile)
  async get({ tenantId, params: { key } }: Call<typeof getFile>): Reply<typeof getFile> {
    const bytes = await this.storage.size(tenantId, key);
    if (bytes === null) throw new DomainError('file.not_found');
    if (bytes > MAX_FILE_BYTES)
      throw new DomainError('file.too_large', {
        detail: `It has ${bytes} bytes; ${MAX_FILE_BYTES} can be sent this way: ask for its content, below …/content`,
      });
    const content = await this.storage.get(tenantId, key);
    if (content === null) throw new DomainError('file.not_found');
    return { status: 200, body: { key, bytes: content.length, content: content.toString('base64') } };
  }

  @Handles(putFile)
  async put({ tenantId, params: { key }, body }: Call<typeof putFile>): Reply<typeof putFile> {
    await demandTenant(this.log, tenantId);
    const { bytes } = await this.files.put(tenantId, key, Buffer.from(body.content, 'base64'));
    return { status: 200, body: { key, bytes } };
  }

  @Handles(deleteFile)
  async delete({ tenantId, params: { key } }: Call<typeof deleteFile>): Reply<typeof deleteFile> {
    await demandTenant(this.log, tenantId);
    await this.files.remove(tenantId, key);
    return { status: 204, body: undefined };
  }
}

/** A cursor is the key of the last file. @throws DomainError `request.invalid` */
function keyOf(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString();
  try {
    segmentsOf(key);
  } catch (error) {
    throw new DomainError('request.invalid', {
      cause: error,
      errors: [{ field: 'cursor', rule: 'cursor', message: 'is not one that was given out: begin without one' }],
    });
  }
  return key;
}
