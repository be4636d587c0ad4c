import { randomBytes } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import { keyId } from './envelope.js';
import { EnvelopeKeyring } from './envelope-keyring.js';
import type { DataKey } from './keyring.js';

/** Keys that live as long as the object: for tests of what needs a keyring. */
export class MemoryKeyring extends EnvelopeKeyring {
  private readonly tenants = new Map<string, Map<string, DataKey>>();
  private readonly destroyed = new Set<string>();

  override async keys(tenantId: string, subjects: readonly string[]): Promise<Map<string, DataKey>> {
    if (this.destroyed.has(tenantId)) throw new DomainError('keys.destroyed');
    let known = this.tenants.get(tenantId);
    if (!known) {
      known = new Map();
      this.tenants.set(tenantId, known);
    }
    const found = new Map<string, DataKey>();
    for (const subject of subjects) {
      let key = known.get(subject);
      if (!key) {
        key = { id: keyId(tenantId, subject, 1), key: randomBytes(32) };
        known.set(subject, key);
      }
      found.set(subject, key);
    }
    return found;
  }

  /** Nothing is cached, so there is nothing to forget. */
  override forget(_tenantId: string): void {}

  /** From now on nothing of the tenant can be read. */
  destroy(tenantId: string): void {
    this.tenants.delete(tenantId);
    this.destroyed.add(tenantId);
  }
}
