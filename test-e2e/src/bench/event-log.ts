/**
 * The tenant log and the bus, part by part (`event-log/<letter>-<name>.ts`), each beside its references on the same servers.
 * `--parts a,c` runs some of them, `--quick` is a smoke run. Last line: one JSON object.
 */

import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { migrationFiles, repositoryRoot } from '@tenantry/tenancy/migration-files';
import { startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { part as a } from './event-log/a-appending.js';
import { part as b } from './event-log/b-hot-tenant.js';
import { type BenchContext, machine, type Part } from './event-log/bench.js';
import { part as c } from './event-log/c-reading.js';
import { part as d } from './event-log/d-projecting.js';
import { part as e } from './event-log/e-rebuild.js';
import { part as f } from './event-log/f-relay.js';
import { part as g, visiblePart as gd } from './event-log/g-kurrentdb.js';

/** In the order in which they run; a part that cannot run here (no KurrentDB server named) gives null and says so. */
const parts: Record<string, (bench: BenchContext) => Promise<Part | null>> = { a, b, c, d, e, f, g, gd };

const { values } = parseArgs({ options: { parts: { type: 'string' }, quick: { type: 'boolean', default: false } } });
const chosen = values.parts === undefined ? Object.keys(parts) : values.parts.split(',');
const unknown = chosen.filter((letter) => !(letter in parts));
if (unknown.length > 0) throw new Error(`--parts: there is no ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`);

const contexts = ['tenant', 'config', 'placement', 'quota', 'domain', 'billing', 'identity', 'audit', 'insight', 'platform'];

/** The server, a login that may use logs as services do, and databases for the parts. */
async function open(url: string) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ name: string; setting: string }>(
    "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'server_version')",
  );
  const settings = Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
  // Without these, every figure would be one of a log that can lose what it has acknowledged.
  for (const name of ['fsync', 'synchronous_commit', 'full_page_writes']) {
    if (settings[name] !== 'on') throw new Error(`the server has ${name} = ${settings[name]}`);
  }
  const password = randomUUID();
  await client.query(`CREATE ROLE bench LOGIN PASSWORD '${password}'`);
  const files = await migrationFiles(`${repositoryRoot}libs/event-store/migrations`);
  return {
    version: settings['server_version'] ?? 'unknown',
    /** A database with the log's tables, empty: no part meets what another one left. */
    async database(name: string): Promise<{ url: string; serviceUrl: string }> {
      await client.query(`CREATE DATABASE ${name}`);
      const of = new URL(url);
      of.pathname = name;
      const inside = new pg.Client({ connectionString: of.href });
      await inside.connect();
      try {
        for (const { sql } of files) await inside.query(sql);
        await inside.query('GRANT tenantry_services TO bench');
        await inside.query("INSERT INTO log.writers SELECT 'bench', context FROM unnest($1::text[]) AS context", [contexts]);
      } finally {
        await inside.end();
      }
      const service = new URL(of);
      service.username = 'bench';
      service.password = password;
      return { url: of.href, serviceUrl: service.href };
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

await using server = await startPostgres({ shared_buffers: '512MB', max_wal_size: '4GB' });
await using postgres = await open(server.url);
const { version } = postgres;
const results: Record<string, Part> = {};
for (const letter of Object.keys(parts).filter((name) => chosen.includes(name))) {
  console.log(`part ${letter}`);
  const bench: BenchContext = {
    postgres: { ...(await postgres.database(`part_${letter}`)), version },
    tenants: Array.from({ length: 50 }, () => randomUUID()),
    quick: values.quick,
    log: (line) => console.log(line),
  };
  const result = await parts[letter]?.(bench);
  if (result) results[letter] = result;
}
const first = Object.values(results)[0];
console.log(
  JSON.stringify({
    bench: 'event-log',
    machine: machine(version),
    ours: first?.ours,
    reference: first?.reference,
    ratio: first?.ratio,
    references: first?.references,
    ratios: first?.ratios,
    p50Ms: first?.p50Ms,
    p99Ms: first?.p99Ms,
    results,
  }),
);
