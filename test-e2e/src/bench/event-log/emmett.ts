import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Pool } from 'pg';

const run = promisify(execFile);
const packages = {
  '@event-driven-io/emmett': '0.42.0',
  '@event-driven-io/emmett-postgresql': '0.42.0',
  '@event-driven-io/pongo': '0.16.11',
};

/** As much of Emmett's PostgreSQL event store as is measured. */
interface EmmettStore {
  schema: { migrate(): Promise<unknown> };
  appendToStream(stream: string, events: { type: string; data: unknown }[], options: { expectedStreamVersion: bigint }): Promise<unknown>;
  close(): Promise<void>;
}
interface EmmettModule {
  getPostgreSQLEventStore(url: string, options: { schema: { autoMigration: 'None' }; connectionOptions: { pool: Pool } }): EmmettStore;
}

/**
 * Emmett is published without a licence, so it is no dependency of this repository: who runs the benchmark gets it from the
 * registry into a temporary folder, for measuring only. `TENANTRY_BENCH_EMMETT` names a folder whose `node_modules` has it already.
 * @throws Error where the registry cannot be reached
 */
export async function emmettStore(url: string, pool: Pool): Promise<EmmettStore> {
  const folder = process.env['TENANTRY_BENCH_EMMETT'] ?? (await installed());
  const entry = createRequire(join(folder, 'package.json')).resolve('@event-driven-io/emmett-postgresql');
  // Resolved for require(); the same build for import lies beside it.
  const module = (await import(pathToFileURL(entry.replace(/[.]cjs$/, '.js')).href)) as EmmettModule;
  const store = module.getPostgreSQLEventStore(url, { schema: { autoMigration: 'None' }, connectionOptions: { pool } });
  await store.schema.migrate();
  return store;
}

async function installed(): Promise<string> {
  const folder = join(tmpdir(), `tenantry-bench-emmett-${process.getuid?.() ?? 0}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: packages }));
  // What npm says of the script that is running is not for the npm that runs here.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(lifecycle|package|config_(local_)?prefix)/.test(name)),
  );
  try {
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: folder, env });
  } catch (error) {
    throw new Error(
      `Emmett could not be installed for comparison: ${(error as Error).message}\nRemedy: check that the npm registry can be reached, or name a folder that has it in TENANTRY_BENCH_EMMETT`,
      { cause: error },
    );
  }
  return folder;
}
