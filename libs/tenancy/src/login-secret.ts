import { randomBytes } from 'node:crypto';
import type { Encrypted, Personal } from '@tenantry/contracts/events';

/** What is needed of the keyring: the password of an isolated tenant's login is encrypted under the subject `login`. */
export interface LoginKeys {
  encrypt(tenantId: string, subject: string, text: string): Promise<Encrypted>;
  reveal<T>(tenantId: string, value: Personal<T>): Promise<T>;
}

export const newPassword = (): string => randomBytes(24).toString('base64url');

/** As it stands in `tenancy.placements.login_secret`. */
export const sealLogin = async (keys: LoginKeys, tenantId: string, password: string): Promise<string> =>
  JSON.stringify(await keys.encrypt(tenantId, 'login', password));

export const openLogin = (keys: LoginKeys, tenantId: string, secret: string): Promise<string> =>
  keys.reveal<string>(tenantId, JSON.parse(secret) as Encrypted);

/** The same server with another database and login. */
export function urlFor(url: string, database: string, login?: { user: string; password: string }): string {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(database)}`;
  if (login) {
    other.username = encodeURIComponent(login.user);
    other.password = encodeURIComponent(login.password);
  }
  return other.href;
}
