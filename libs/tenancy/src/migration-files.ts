import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface MigrationFile {
  /** The file's name, with the service before it where files of several are in one set: `audit/0001_entries.sql`. */
  name: string;
  sql: string;
  /** Hex. */
  sha256: string;
}

/** The folder that holds `libs` and `services`. */
export const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url));

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** `*.sql` of a folder by name; none where there is no such folder. */
export async function migrationFiles(folder: string, prefix = ''): Promise<MigrationFile[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return Promise.all(
    names
      .filter((name) => name.endsWith('.sql'))
      .sort()
      .map(async (name) => {
        const sql = await readFile(join(folder, name), 'utf8');
        return { name: `${prefix}${name}`, sql, sha256: sha256(sql) };
      }),
  );
}

/** Names of the services, in order: the folders in `services/`. */
export async function serviceNames(root = repositoryRoot): Promise<string[]> {
  const entries = await readdir(join(root, 'services'), { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** The tables of a tenant's schema, as the runner and the services change them: the runner's files first, then by service. */
export async function tenantMigrations(root = repositoryRoot): Promise<MigrationFile[]> {
  const services = await serviceNames(root);
  const sets = await Promise.all([
    migrationFiles(join(root, 'libs/messaging/migrations/tenant'), 'messaging/'),
    ...services.map((service) => migrationFiles(join(root, 'services', service, 'migrations/tenant'), `${service}/`)),
  ]);
  return sets.flat();
}
