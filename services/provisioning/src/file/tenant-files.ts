import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import { RpcClient } from '@tenantry/messaging/rpc';
import { faultPoint } from '@tenantry/observability/fault';
import { every } from '@tenantry/service/every';
import { Storage } from '@tenantry/tenancy/storage';
import { segmentsOf } from '@tenantry/tenancy/storage-key';
import { FileRoom, settledMeanwhile, settleRoom } from './file-room.js';
import { type FileWrite, FileWrites } from './file-writes.js';

/** Well below what it takes to be settled by another. */
const RENEWED_MS = 10_000;

/** What the sender says of a content; null where he doesn't. */
export interface Announced {
  bytes: number | null;
  /** In hexadecimal. */
  sha256: string | null;
}

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

  /** @throws DomainError as `receive` */
  async put(tenantId: string, key: string, content: Buffer): Promise<{ bytes: number }> {
    return this.receive(tenantId, key, Readable.from([content]), { bytes: content.length, sha256: null });
  }

  /**
   * A content as it comes, for as long as it comes.
   * @throws DomainError `tenant.deleted`, `quota.exceeded`, `file.busy`, `request.invalid` for the key or the checksum, whatever `content` throws
   */
  async receive(
    tenantId: string,
    key: string,
    content: AsyncIterable<Buffer>,
    announced: Announced,
  ): Promise<{ bytes: number; sha256: string }> {
    const write = await this.begin(tenantId, key);
    const stopRenewing = every(
      RENEWED_MS,
      async () => void (await this.writes.renew(write.id)),
      // Where it goes on, the write is settled by another, and its end refused.
      () => undefined,
    );
    try {
      const done = await this.replace(write, content, announced);
      await this.settle(write);
      return done;
    } catch (error) {
      // What can't be settled now is settled by another later: the error to tell is the first.
      await this.settle(write).catch(() => undefined);
      throw error;
    } finally {
      await stopRenewing();
    }
  }

  /** A file that is not there is no error. */
  async remove(tenantId: string, key: string): Promise<void> {
    const write = await this.begin(tenantId, key);
    await this.storage.delete(tenantId, key);
    await faultPoint('file.written');
    await this.settle(write);
  }

  /** Makes what is held what the file has, whether it was written or not, and forgets the change. May be repeated. */
  async settle(write: FileWrite): Promise<void> {
    if (isFound(write)) {
      const bytes = (await this.storage.size(write.tenantId, write.key)) ?? 0;
      await settleRoom(write, this.writes, this.rpc, bytes);
    }
    await this.writes.end(write.id);
  }

  /** The same of a change that nobody is at any more. */
  async settleLeft(write: FileWrite): Promise<void> {
    await this.storage.abandon(write.tenantId, write.key);
    await this.settle(write);
  }

  private async replace(
    write: FileWrite & { bytesBefore: number },
    content: AsyncIterable<Buffer>,
    { bytes: announced, sha256 }: Announced,
  ): Promise<{ bytes: number; sha256: string }> {
    const room = new FileRoom(write, this.writes, this.rpc);
    if (announced !== null) await room.upTo(announced);
    await faultPoint('file.held');
    const hash = createHash('sha256');
    let digest = '';
    const counted = async function* () {
      let come = 0;
      for await (const part of content) {
        come += part.length;
        if (announced === null) await room.growingTo(come);
        else if (come > announced) throw otherLength();
        hash.update(part);
        yield part;
      }
    };
    const { bytes } = await this.storage.put(write.tenantId, write.key, Readable.from(counted()), async (come) => {
      if (announced !== null && come !== announced) throw otherLength();
      digest = hash.digest('hex');
      if (sha256 !== null && sha256 !== digest)
        throw invalidField('Content-Digest', 'digest', `is not that of what came, whose SHA-256 is ${digest}: send it again`);
      await faultPoint('file.received');
      await this.refuseErased(write);
      // From here on it may be replaced at any moment: not by somebody who was taken for dead.
      if (!(await this.writes.renew(write.id))) throw settledMeanwhile();
    });
    await faultPoint('file.written');
    await this.takeBackOfErased(write);
    return { bytes, sha256: digest };
  }

  private async refuseErased({ tenantId }: FileWrite): Promise<void> {
    if (await this.writes.isErased(tenantId)) throw new DomainError('tenant.deleted');
  }

  /** The tenant's files went while this one was on its way: it came after them. */
  private async takeBackOfErased(write: FileWrite): Promise<void> {
    try {
      await this.refuseErased(write);
    } catch (error) {
      await this.storage.delete(write.tenantId, write.key);
      throw error;
    }
  }

  private async begin(tenantId: string, key: string): Promise<FileWrite & { bytesBefore: number }> {
    segmentsOf(key);
    const write = await this.writes.begin(tenantId, key);
    if (!write)
      throw new DomainError('file.busy', {
        detail: 'Another change of the file is under way: send it again in a moment',
        retryAfterSeconds: 1,
      });
    const bytesBefore = (await this.storage.size(tenantId, key)) ?? 0;
    await this.writes.found(write.id, bytesBefore);
    return { ...write, bytesBefore };
  }
}

const isFound = (write: FileWrite): write is FileWrite & { bytesBefore: number } => write.bytesBefore !== null;
const otherLength = () => new DomainError('request.malformed', { detail: 'The body is shorter or longer than Content-Length says' });
