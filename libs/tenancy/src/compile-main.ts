// node libs/tenancy/dist/compile-main.js [--check] [URL of a PostgreSQL superuser; without one a server is started for it]
import { readFile, writeFile } from 'node:fs/promises';
import pg from 'pg';
import { compile } from './compile.js';
import { compiledFile } from './compiled.js';
import { tenantMigrations } from './migration-files.js';

const given = process.argv.slice(2);
const check = given.includes('--check');
const url = given.find((argument) => !argument.startsWith('--'));

const server = url === undefined ? await (await import('@tenantry/testing/postgres')).startPostgres() : undefined;
try {
  const client = new pg.Client({ connectionString: url ?? server?.url });
  await client.connect();
  try {
    const script = await compile(client, await tenantMigrations());
    const current = await readFile(compiledFile, 'utf8').catch(() => '');
    if (current === script) console.log('compiled/tenant.sql is up to date');
    else if (check) {
      console.error('compiled/tenant.sql is older than the tenant migrations: run node libs/tenancy/dist/compile-main.js');
      process.exitCode = 1;
    } else {
      await writeFile(compiledFile, script);
      console.log('compiled/tenant.sql is written');
    }
  } finally {
    await client.end();
  }
} finally {
  await server?.stop();
}
