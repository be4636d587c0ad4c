import { randomBytes } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import { isRotated, keyId, namedVersion } from './envelope.js';
import { EnvelopeKeyring } from './envelope-keyring.js';
import type { DataKey } from './keyring.js';

/** Keys that live as long as the object: for tests of what needs a keyring. */
export class MemoryKeyring extends EnvelopeKeyring {
  private readonly tenants = new Map<string, Map<string, DataKey>>();
  private readonly all = new Map<string, DataKey>();
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
        let version = 1;
        while (this.all.has(keyId(tenantId, subject, version))) version += 1;
        key = { id: keyId(tenantId, subject, version), key: randomBytes(32) };
        known.set(subject, key);
        this.all.set(key.id, key);
      }
      found.set(subject, key);
    }
    return found;
  }

  override async opening(tenantId: string, ids: readonly string[]): Promise<Map<string, DataKey>> {
    const found = ids.flatMap((id) =>
      namedVersion(id).tenantId === tenantId && !this.destroyed.has(tenantId) ? (this.all.get(id) ?? []) : [],
    );
    return new Map(found.map((key) => [key.id, key]));
  }

  /** From now on everything is encrypted with other keys. */
  rotate(tenantId: string): void {
    for (const subject of this.tenants.get(tenantId)?.keys() ?? []) if (isRotated(subject)) this.tenants.get(tenantId)?.delete(subject);
  }

  /** Nothing is cached, so there is nothing to forget. */
  override forget(_tenantId: string): void {}

  /** From now on nothing of the tenant can be read. */
  destroy(tenantId: string): void {
    this.tenants.delete(tenantId);
    this.destroyed.add(tenantId);
  }
}
