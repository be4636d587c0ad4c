/**
 * For specs: a process with a runner, one of whose events ends it on the spot. Arguments: Postgres' URL, the schema, and a JSON object
 * of the tenants' events, `{<tenant>: [name, …]}`; an event of the name `deadly` kills. Says `up to date` when all else is applied.
 */

import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { command } from '@tenantry/event-store/conformance/given';
import { silentLogger } from '@tenantry/observability/logger';
import { pgSchema, text, uuid } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { PostgresRunnerStorage } from './postgres-storage.js';
import { projection, upsert } from './projection.js';
import { Runner } from './runner.js';
import { SystemScheduler } from './scheduler.js';
import { SchemaTenants } from './spec-support.js';

const [url = '', schema = '', given = '{}'] = process.argv.slice(2);
const logs = JSON.parse(given) as Record<string, string[]>;
const names = pgSchema(schema).table('names', { tenantId: uuid('tenant_id').primaryKey(), name: text('name').notNull() });

const store = new MemoryEventStore();
for (const [tenantId, each] of Object.entries(logs)) {
  // The same events in every life of the process.
  const base = command(tenantId, { stream: 's', events: each.map((name) => ({ type: 'TenantUpdated', data: { name } })) });
  const events = base.events.map((event, n) => ({ ...event, id: `${tenantId.slice(0, -4)}${String(n).padStart(4, '0')}` }));
  await store.append({ ...base, events });
}
const pool = new pg.Pool({ connectionString: url, max: 4 });
const runner = new Runner({
  service: 'mortal',
  storage: new PostgresRunnerStorage(pool, schema, new SchemaTenants(pool)),
  store,
  scheduler: new SystemScheduler(),
  owner: 'mortal/0',
  logger: silentLogger,
  projections: [
    projection({
      name: 'names',
      version: 1,
      placement: 'service',
      tables: [names],
      on: {
        TenantUpdated: ({ data }) => {
          if (data.name === 'deadly') process.kill(process.pid, 'SIGKILL');
          return upsert(names, { name: data.name ?? '' });
        },
      },
    }),
  ],
  processes: [],
});
await runner.start();
runner.appended(Object.keys(logs));
const upToDate = () =>
  Object.entries(logs).every(([id, each]) => each.includes('deadly') || runner.scannedTo('service', id) === each.length - 1);
const timer = setInterval(() => {
  if (!upToDate()) return;
  process.stdout.write('up to date\n');
  clearInterval(timer);
  void runner.stop().then(() => pool.end());
}, 50);
