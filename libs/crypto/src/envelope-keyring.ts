import { DomainError } from '@tenantry/contracts/errors';
import type { Encrypted, Personal } from '@tenantry/contracts/events';
import { hmacSubject, hmacWith, isEncrypted, open, parseKeyId, seal } from './envelope.js';
import { type DataKey, Keyring } from './keyring.js';

/** Everything of a keyring that follows from its data keys. What is left to say is where the keys come from. */
export abstract class EnvelopeKeyring extends Keyring {
  override async encrypt(tenantId: string, subject: string, text: string): Promise<Encrypted> {
    return seal(await this.key(tenantId, subject), { tenantId, subject }, text);
  }

  override async reveal<T>(tenantId: string, value: Personal<T>): Promise<T> {
    if (!isEncrypted(value)) return value as T;
    const { id, tenantId: owner, subject } = parseKeyId(value);
    // Another tenant's ciphertext is never decrypted here, whoever may have placed it in this tenant's data.
    if (owner !== tenantId) throw new DomainError('keys.destroyed', { cause: new Error('encrypted for another tenant') });
    const key = (await this.opening(tenantId, [id])).get(id);
    if (!key) throw new DomainError('keys.destroyed');
    return open(key, { tenantId, subject }, value) as T;
  }

  override async hmac(tenantId: string, purpose: string, text: string): Promise<string> {
    return hmacWith(await this.key(tenantId, hmacSubject(purpose)), purpose, text);
  }

  private async key(tenantId: string, subject: string): Promise<DataKey> {
    const key = (await this.keys(tenantId, [subject])).get(subject);
    if (!key) throw new Error(`no key for subject ${subject}`);
    return key;
  }
}
