import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { openFile } from '@tenantry/crypto/sealed-file';
import { readCertificate } from './certificate.js';
import { dataFolder } from './local/files.js';
import { root } from './local/services.js';
import { readSettings } from './local/settings.js';

/** `npx tenantry <command>`: what operators do with files, without a running system. Ends with 1 where it fails. */
const usage = `npx tenantry verify-certificate <file> [--keys <jwks file>]
npx tenantry open-export <folder> --key <base64> --out <folder>`;

const from = process.env['TENANTRY_CALLED_FROM'] ?? process.cwd();
const at = (path: string) => resolve(from, path);

async function verifyCertificate(args: string[]): Promise<void> {
  const { positionals, values } = parseArgs({ args, allowPositionals: true, options: { keys: { type: 'string' } } });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new Error(`Usage:\n${usage}`);
  const keysFile =
    values.keys === undefined ? dataFolder(readSettings(process.env, root).settings.dataDir).publicKeysFile : at(values.keys);
  const keys = await readFile(keysFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      `The public keys could not be read (${error.code}: ${keysFile}). Remedy: --keys <file>, with the answer of GET /.well-known/jwks.json`,
    );
  });
  const certificate = readCertificate(await readFile(at(file), 'utf8'), keys);
  console.log(`valid: tenant ${certificate.tenantId} was erased at ${certificate.erasedAt}`);
  console.log(`  signed by ${certificate.keyId}`);
  for (const { name, method, checkedAt, found, query, kept, keeps } of certificate.stores) {
    console.log(`  ${checkedAt}  ${method.padEnd(14)}  ${found} found  ${name}`);
    console.log(`    looked at: ${query ?? 'not said: the certificate is older than that'}`);
    if (keeps !== undefined) console.log(`    stays (${kept ?? 0}): ${keeps}`);
  }
  console.log(`  export: ${certificate.export.location}, can be opened until ${certificate.export.expiresAt}`);
}

interface Manifest {
  format: string;
  files: { name: string; bytes: number; sha256: string }[];
}

async function openExport(args: string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: { key: { type: 'string' }, out: { type: 'string' } },
  });
  const [folder] = positionals;
  const key = Buffer.from(values.key ?? '', 'base64');
  if (folder === undefined || values.out === undefined || key.length !== 32) throw new Error(`Usage (the key has 32 bytes):\n${usage}`);
  const manifest: Manifest = JSON.parse(await readFile(join(at(folder), 'manifest.json'), 'utf8'));
  if (manifest.format !== 'tenantry-export') throw new Error(`${folder} holds no export`);
  const out = at(values.out);
  for (const { name } of manifest.files) await openOne(at(folder), out, name, key);
  console.log(`${manifest.files.length} files are in ${out}`);
}

/** Under its name only once it is known to be whole. */
async function openOne(folder: string, out: string, name: string, key: Buffer): Promise<void> {
  const target = resolve(out, name);
  if (!target.startsWith(out + sep)) throw new Error(`The manifest names a file outside of the export: ${name}`);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const partial = `${target}.part`;
  try {
    const sealed = createReadStream(join(folder, `${name}.enc`)) as AsyncIterable<Buffer>;
    await pipeline(Readable.from(openFile(key, name, sealed)), createWriteStream(partial, { mode: 0o600 }));
    await rename(partial, target);
  } finally {
    await rm(partial, { force: true });
  }
}

const commands: Record<string, (args: string[]) => Promise<void>> = {
  'verify-certificate': verifyCertificate,
  'open-export': openExport,
};

const [name = '', ...args] = process.argv.slice(2);
try {
  const command = commands[name];
  if (!command) throw new Error(`Usage:\n${usage}`);
  await command(args);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
