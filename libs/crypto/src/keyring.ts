import type { Encrypted, Personal } from '@tenantry/contracts/events';

/** A data key in clear, 32 bytes. Never logged, never stored. */
export interface DataKey {
  /** `<tenant id>/<subject>/<version>`: what stands before the colon in `{enc}`. */
  id: string;
  key: Buffer;
}

/**
 * Data keys by tenant and data subject. In identity it reads its own tables; elsewhere it asks identity and caches for at most 5 minutes.
 * Subjects are ids without meaning: `contacts`, `config`, `member-<id>`, `principal-<id>`, `requests` (HMAC of requests), `login` (the isolated database's password).
 */
export abstract class Keyring {
  /** The newest keys of the subjects, to encrypt with; made where they do not exist yet (idempotently). @throws DomainError `keys.destroyed` */
  abstract keys(tenantId: string, subjects: readonly string[]): Promise<Map<string, DataKey>>;
  /** Keys by their ids, of whatever version, to read with. Those that were destroyed, never were, or are another tenant's are left out. */
  abstract opening(tenantId: string, ids: readonly string[]): Promise<Map<string, DataKey>>;
  /** Forget cached keys of a tenant. */
  abstract forget(tenantId: string): void;

  /** Encrypts text with a subject's key: AES-256-GCM; tenant, subject and purpose are associated data. */
  abstract encrypt(tenantId: string, subject: string, text: string): Promise<Encrypted>;
  /** In clear; a value that is clear already comes back as it is. @throws DomainError `keys.destroyed` */
  abstract reveal<T>(tenantId: string, value: Personal<T>): Promise<T>;
  /** HMAC-SHA-256 (hex) under the tenant's key for `purpose`: finds a value again without showing it. */
  abstract hmac(tenantId: string, purpose: string, text: string): Promise<string>;
}
