import { createPublicKey, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { services } from '@tenantry/contracts/route';
import { createApiKey } from '@tenantry/crypto/api-key';
import { BLUEPRINTS } from '@tenantry/tenancy/names';
import { type DataFolder, keep, writeWhole } from './files.js';

/** Made at the first start and kept in `secrets.json`. */
export interface Secrets {
  /** Names this data folder, wherever it is moved. */
  instanceId: string;
  /** Of the embedded server's superuser. */
  postgresPassword: string;
  /** Of each service's login, and of `blueprints`. */
  servicePasswords: Record<string, string>;
  adminEmail: string;
  adminPassword: string;
}

export interface KeyFiles {
  kms: string;
  tokenPrivate: string;
  tokenPublic: string;
  bootstrapApiKey: string;
}

const password = () => randomBytes(24).toString('base64url');

export async function prepareSecrets(folder: DataFolder, baseDomain: string): Promise<Secrets> {
  const fresh = (): Secrets => ({
    instanceId: randomUUID(),
    postgresPassword: password(),
    servicePasswords: {},
    adminEmail: `admin@${baseDomain}`,
    adminPassword: password(),
  });
  const secrets = JSON.parse(await keep(folder.secretsFile, () => JSON.stringify(fresh(), null, 2))) as Secrets;
  const missing = [...services, BLUEPRINTS].filter((name) => secrets.servicePasswords[name] === undefined);
  if (missing.length > 0) {
    for (const name of missing) secrets.servicePasswords[name] = password();
    await writeWhole(folder.secretsFile, JSON.stringify(secrets, null, 2));
  }
  return secrets;
}

/** Keys that services read from files. The public half is written from the private one, so that the two always fit. */
export async function prepareKeys(folder: DataFolder): Promise<{ files: KeyFiles; adminApiKey: string }> {
  const files: KeyFiles = {
    kms: join(folder.keys, 'kms.key'),
    tokenPrivate: join(folder.keys, 'token.pem'),
    tokenPublic: join(folder.keys, 'token.pub.pem'),
    bootstrapApiKey: join(folder.keys, 'bootstrap-api-key'),
  };
  await keep(files.kms, () => `${randomBytes(32).toString('base64')}\n`);
  const pem = await keep(files.tokenPrivate, () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  await writeWhole(files.tokenPublic, createPublicKey(pem).export({ type: 'spki', format: 'pem' }).toString());
  const adminApiKey = (await keep(files.bootstrapApiKey, () => `${createApiKey('live').key}\n`)).trim();
  return { files, adminApiKey };
}
