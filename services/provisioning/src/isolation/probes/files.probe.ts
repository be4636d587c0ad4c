import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { Storage } from '@tenantry/tenancy/storage';
import { breached, held, type Tried } from '../attempt.js';
import { alone, Probe, type Subject } from '../probe.js';

/** Files: a file of this tenant, and all the names under which another tenant could ask for it. */
@Injectable()
export class FilesProbe extends Probe {
  constructor(private readonly storage: Storage) {
    super();
  }

  async attempts({ tenantId, peer, nonce }: Subject): Promise<Attempt[]> {
    if (!peer) return [alone('storage', 'a file of the tenant')];
    const key = `.isolation/${nonce}`;
    await this.storage.put(tenantId, key, Buffer.from(nonce));
    try {
      const names = [
        key,
        `../${tenantId}/${key}`,
        `x/../../${tenantId}/${key}`,
        `/tenants/${tenantId}/${key}`,
        `..\\${tenantId}\\${key}`,
        `%2e%2e/${tenantId}/${key}`,
        `./../${tenantId}/${key}`,
        `${tenantId}/${key}`,
        `../${tenantId}/${key}\0`,
      ];
      const tried = await Promise.all(names.flatMap((name) => [this.read(peer.tenantId, name, nonce), this.remove(peer.tenantId, name)]));
      // After all of that it is there, and unchanged.
      const still = (await this.storage.get(tenantId, key))?.toString() === nonce;
      const seen = still ? held('delete it', 'it is still there') : breached('delete it', 'it is gone, or another');
      return [...tried, seen].map((one) => ({ boundary: 'storage', target: 'a file of the tenant', ...one }));
    } finally {
      await this.storage.delete(tenantId, key);
    }
  }

  private async read(as: string, name: string, content: string): Promise<Tried> {
    const attempt = `read it as ${JSON.stringify(name)}`;
    const found = await refusedOr(() => this.storage.get(as, name));
    if (found === REFUSED) return held(attempt, 'the name is refused');
    return found?.toString() === content ? breached(attempt, 'it was read') : held(attempt, 'there is no such file');
  }

  private async remove(as: string, name: string): Promise<Tried> {
    const attempt = `delete it as ${JSON.stringify(name)}`;
    const done = await refusedOr(() => this.storage.delete(as, name));
    return held(attempt, done === REFUSED ? 'the name is refused' : 'it names nothing of this tenant');
  }
}

const REFUSED = Symbol('refused');
async function refusedOr<T>(work: () => Promise<T>): Promise<T | typeof REFUSED> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DomainError && error.code === 'request.invalid') return REFUSED;
    throw error;
  }
}
