import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { holdUsage } from '@tenantry/contracts/quota/routes';
import { RpcClient } from '@tenantry/messaging/rpc';
import { faultPoint } from '@tenantry/observability/fault';
import { Storage } from '@tenantry/tenancy/storage';
import { segmentsOf } from '@tenantry/tenancy/storage-key';
import { type FileWrite, FileWrites } from './file-writes.js';

const RESOURCE = 'storage';

/**
 * Files of tenants within their quota. Room for what a file will have more is held before it is written, and what it has less is given
 * back afterwards: what is in use is never more than is held. Each change is a row until it is settled, so that a crash at any line
 * leaves a row that says what may have been held, and nothing else.
 */
@Injectable()
export class TenantFiles {
  constructor(
    private readonly storage: Storage,
    private readonly writes: FileWrites,
    private readonly rpc: RpcClient,
  ) {}

  /** @throws DomainError `tenant.deleted`, `quota.exceeded`, `file.busy`, `request.invalid` for the key */
  async put(tenantId: string, key: string, content: Buffer): Promise<{ bytes: number }> {
    const write = await this.begin(tenantId, key, content.length);
    const more = content.length - write.bytesBefore;
    if (more > 0) await this.hold(write, more).catch((error: unknown) => this.unheld(write, error));
    await faultPoint('file.held');
    try {
      await this.storage.put(tenantId, key, content);
    } catch (error) {
      await this.settle(write);
      throw error;
    }
    await faultPoint('file.written');
    await this.takeBackOfErased(write);
    await this.settle(write);
    return { bytes: content.length };
  }

  /** The tenant's files went while this one was on its way: it came after them. */
  private async takeBackOfErased({ tenantId, key }: FileWrite): Promise<void> {
    if (!(await this.writes.isErased(tenantId))) return;
    await this.storage.delete(tenantId, key);
    throw new DomainError('tenant.deleted');
  }

  /** A file that is not there is no error. */
  async remove(tenantId: string, key: string): Promise<void> {
    const write = await this.begin(tenantId, key, 0);
    await this.storage.delete(tenantId, key);
    await faultPoint('file.written');
    await this.settle(write);
  }

  /**
   * Makes what is held what the file has, whether it was written or not, and forgets the change. May be repeated: what is held and given
   * back has ids of its own.
   */
  async settle(write: FileWrite): Promise<void> {
    if (write.bytesBefore !== null) {
      const now = (await this.storage.size(write.tenantId, write.key)) ?? 0;
      const more = write.bytes - write.bytesBefore;
      const isWritten = now === write.bytes;
      if (more > 0 && !isWritten) await this.giveBack(write, more);
      if (more < 0 && isWritten) await this.rpc.call(holdUsage, held(write, 'freed', more));
    }
    await this.writes.end(write.id);
  }

  private async begin(tenantId: string, key: string, bytes: number): Promise<FileWrite & { bytesBefore: number }> {
    segmentsOf(key);
    const write = await this.writes.begin(tenantId, key, bytes);
    if (!write)
      throw new DomainError('file.busy', {
        detail: 'Another change of the file is under way: send it again in a moment',
        retryAfterSeconds: 1,
      });
    const bytesBefore = (await this.storage.size(tenantId, key)) ?? 0;
    await this.writes.found(write.id, bytesBefore);
    return { ...write, bytesBefore };
  }

  private async hold(write: FileWrite, more: number): Promise<void> {
    await this.rpc.call(holdUsage, held(write, 'held', more));
  }

  /** A refusal has held nothing; of any other error nobody knows, and whoever settles what is left finds out. */
  private async unheld(write: FileWrite, error: unknown): Promise<never> {
    if (error instanceof DomainError && !['service.unavailable', 'service.timeout'].includes(error.code)) await this.writes.end(write.id);
    throw error;
  }

  /** Whether it was ever held nobody may know: it is held (again, under the same id), then given back. */
  private async giveBack(write: FileWrite, more: number): Promise<void> {
    try {
      await this.hold(write, more);
    } catch (error) {
      if (error instanceof DomainError && error.code === 'quota.exceeded') return;
      throw error;
    }
    await this.rpc.call(holdUsage, held(write, 'back', -more));
  }
}

const held = ({ tenantId, id }: FileWrite, what: string, amount: number) => ({
  ...{ tenantId, resource: RESOURCE, amount },
  commandId: `file/${id}/${what}`,
});
