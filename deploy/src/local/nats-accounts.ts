import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { encodeAccount, encodeOperator, encodeUser, fmtCreds, type Permissions, parseCreds, type User } from '@nats-io/jwt';
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import { type ServiceName, services } from '@tenantry/contracts/route';
import { type DataFolder, keep, readIfThere, writeWhole } from './files.js';
import { processPermissions, readerPermissions, systemPermissions } from './nats-permissions.js';

const text = new TextDecoder();
const bytes = new TextEncoder();

/** Keys, accounts and users of the broker in operator mode. Seeds sign, and only identity gets them. */
export interface NatsAccounts {
  operatorJwtFile: string;
  operatorSeedFile: string;
  platformSeedFile: string;
  /** Public key of the system account. */
  systemAccount: string;
  /** Public key of the platform's account, which owns JetStream. */
  platformAccount: string;
  /** Folder of the `full` resolver. */
  resolver: string;
  creds: ReadonlyMap<ServiceName, string>;
  /** May read all events. */
  readerCreds: string;
  /** Of the system account: pushes account JWTs to the resolver. */
  systemCreds: string;
}

export async function prepareNatsAccounts(folder: DataFolder): Promise<NatsAccounts> {
  const keys = join(folder.nats, 'keys');
  const credsFolder = join(folder.nats, 'creds');
  const resolver = join(folder.nats, 'accounts');
  for (const path of [keys, credsFolder, resolver]) await mkdir(path, { recursive: true, mode: 0o700 });

  const operatorSeedFile = join(keys, 'operator.nk');
  const platformSeedFile = join(keys, 'platform.nk');
  const operator = await keptKey(operatorSeedFile, createOperator);
  const system = await keptKey(join(keys, 'system.nk'), createAccount);
  const platform = await keptKey(platformSeedFile, createAccount);

  const operatorJwtFile = join(folder.nats, 'operator.jwt');
  await keep(operatorJwtFile, () => encodeOperator('tenantry', operator, { system_account: system.getPublicKey() }));

  // The resolver's copy may have been changed by a push since (revocations, exports): it is made once and then left alone.
  const present = new Set(await readdir(resolver));
  const everything = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accounts = [
    { name: 'SYSTEM', key: system, limits: everything },
    { name: 'PLATFORM', key: platform, limits: { ...everything, ...jetstream } },
  ];
  for (const { name, key, limits } of accounts) {
    const file = `${key.getPublicKey()}.jwt`;
    if (!present.has(file)) await writeWhole(join(resolver, file), await encodeAccount(name, key, { limits }, { signer: operator }));
  }

  const creds = new Map<ServiceName, string>();
  for (const name of services) {
    const file = join(credsFolder, `${name}.creds`);
    await writeCreds(file, name, platform, processPermissions(name));
    creds.set(name, file);
  }
  const readerCreds = join(credsFolder, 'reader.creds');
  await writeCreds(readerCreds, 'reader', platform, readerPermissions);
  const systemCreds = join(credsFolder, 'system.creds');
  await writeCreds(systemCreds, 'system', system, systemPermissions);
  return {
    operatorJwtFile,
    operatorSeedFile,
    platformSeedFile,
    systemAccount: system.getPublicKey(),
    platformAccount: platform.getPublicKey(),
    resolver,
    creds,
    readerCreds,
    systemCreds,
  };
}

async function keptKey(file: string, create: () => KeyPair): Promise<KeyPair> {
  return fromSeed(bytes.encode((await keep(file, () => text.decode(create().getSeed()))).trim()));
}

/** Permissions are those of this version at every start; the user's own key stays. Signed only when something has changed. */
async function writeCreds(file: string, name: string, account: KeyPair, permissions: Permissions): Promise<void> {
  const old = await readIfThere(file);
  const kept = old === undefined ? undefined : await parseCreds(bytes.encode(old));
  const same = (has: Partial<User>) =>
    (['pub', 'sub', 'resp'] as const).every((part) => isDeepStrictEqual(plain(has[part]), plain(permissions[part])));
  if (kept && kept.uc.iss === account.getPublicKey() && same(kept.uc.nats)) return;
  const key = kept ? fromSeed(bytes.encode(kept.key)) : createUser();
  const jwt = await encodeUser(name, key, account, { subs: -1, data: -1, payload: -1, ...permissions });
  await writeWhole(file, fmtCreds(jwt, key));
}

/** Without what is empty: encoding may leave it out or write it down. */
const plain = (part: unknown) => JSON.parse(JSON.stringify(part ?? {}));
