import { DomainError } from '@tenantry/contracts/errors';
import { holdUsage } from '@tenantry/contracts/quota/routes';
import type { RpcClient } from '@tenantry/messaging/rpc';
import type { FileWrite, FileWrites } from './file-writes.js';

const RESOURCE = 'storage';
/** Held ahead of a content whose length nobody knows; less at its beginning: never more than has come. */
const AHEAD_BYTES = 64 * 1024 * 1024;

/**
 * Room in a tenant's quota for one change of a file. What is asked for is written down before, so that a crash leaves a row that says what
 * may have been held, and nothing else.
 */
export class FileRoom {
  constructor(
    private readonly write: FileWrite & { bytesBefore: number },
    private readonly writes: FileWrites,
    private readonly rpc: RpcClient,
  ) {}

  /** Sees that there is room for a file of that size. @throws DomainError `quota.exceeded`, `service.unavailable` */
  async upTo(bytes: number): Promise<void> {
    const missing = this.missing(bytes);
    if (missing > 0) await this.hold(missing);
  }

  /** The same of a content that goes on: some more is held ahead, where there is room for it. */
  async growingTo(bytes: number): Promise<void> {
    const missing = this.missing(bytes);
    if (missing <= 0) return;
    const ahead = Math.min(bytes, AHEAD_BYTES);
    try {
      await this.hold(missing + ahead);
    } catch (error) {
      if (!isExceeded(error)) throw error;
      await this.hold(missing);
    }
  }

  private missing(bytes: number): number {
    return bytes - this.write.bytesBefore - this.write.held;
  }

  private async hold(amount: number): Promise<void> {
    const { write, writes } = this;
    write.pending = amount;
    write.steps += 1;
    if (!(await writes.holding(write))) throw settledMeanwhile();
    try {
      await this.rpc.call(holdUsage, heldBy(write, amount));
      write.held += amount;
      write.pending = null;
    } catch (error) {
      // A refusal has held nothing; of any other error nobody knows, and whoever settles the change finds out.
      if (isRefusal(error)) write.pending = null;
      throw error;
    }
  }
}

/** Whoever was at it was so long silent that another has taken it for dead. */
export const settledMeanwhile = () =>
  new DomainError('service.unavailable', { detail: 'The change of the file was interrupted: send it again', retryAfterSeconds: 1 });

/**
 * Makes what is held what the file has, which is as it was before or as it was to be. May be repeated: what is held and given back has ids
 * of its own, and what was found out about them is written down first.
 */
export async function settleRoom(
  write: FileWrite & { bytesBefore: number },
  writes: FileWrites,
  rpc: RpcClient,
  bytes: number,
): Promise<void> {
  if (write.pending !== null) {
    // Whether it was ever held nobody may know: it is held (again, under the same id).
    const isHeld = await rpc.call(holdUsage, heldBy(write, write.pending)).then(
      () => true,
      (error: unknown) => {
        if (isExceeded(error)) return false;
        throw error;
      },
    );
    if (isHeld) write.held += write.pending;
    write.pending = null;
    await writes.holding(write);
  }
  const more = bytes - write.bytesBefore - write.held;
  if (more !== 0) await rpc.call(holdUsage, { ...common(write), amount: more, commandId: `file/${write.id}/settled` });
}

const isExceeded = (error: unknown): boolean => error instanceof DomainError && error.code === 'quota.exceeded';
const isRefusal = (error: unknown): boolean =>
  error instanceof DomainError && !['service.unavailable', 'service.timeout', 'internal.error'].includes(error.code);
const common = ({ tenantId }: FileWrite) => ({ tenantId, resource: RESOURCE });
const heldBy = (write: FileWrite, amount: number) => ({ ...common(write), amount, commandId: `file/${write.id}/held/${write.steps}` });
