/**
 * Rebuilding a read model of one tenant from its log, one row per event, in the one transaction that readers see as one change.
 * The reference is a bare loop: the same pages read by `SELECT`, the same rows written by one `INSERT … SELECT FROM json` a page.
 */

import { newId } from '@tenantry/contracts/ids';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import { PostgresRunnerStorage } from '@tenantry/messaging/postgres-storage';
import { Runner } from '@tenantry/messaging/runner';
import { SystemScheduler } from '@tenantry/messaging/scheduler';
import { silentLogger } from '@tenantry/observability/logger';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { type BenchContext, median, type Part, round } from './bench.js';
import { change, itemsOf, prepareReadModels, schema } from './read-models.js';

const page = 500;

export async function part({ postgres, quick, log }: BenchContext): Promise<Part> {
  const total = quick ? 5_000 : 100_000;
  const rounds = quick ? 1 : 3;
  await using stack = new AsyncDisposableStack();
  const models = await prepareReadModels(postgres.url, stack);
  const store = new PostgresEventStore(stack.adopt(new pg.Pool({ connectionString: postgres.serviceUrl, max: 2 }), (open) => open.end()));
  const tenantId = newId();
  for (let written = 0; written < total; written += 100) await store.append(change(tenantId, 'TenantUpdated', 100));

  let version = 0;
  /** A runner whose projection has a new version finds that the rows are of an old one, and rebuilds them. */
  const ours = async () => {
    version += 1;
    const runner = new Runner({
      service: 'bench',
      storage: new PostgresRunnerStorage(models.pool, schema, models.tenants),
      store,
      scheduler: new SystemScheduler(),
      logger: silentLogger,
      projections: [itemsOf(version)],
      processes: [],
      options: { sweepMs: 3_600_000 },
    });
    const begun = performance.now();
    await runner.start();
    runner.appended([tenantId]);
    await eventually(async () => runner.scannedTo('service', tenantId) === total - 1, { timeoutMs: 120_000, intervalMs: 5 });
    const rate = total / ((performance.now() - begun) / 1_000);
    await runner.stop();
    const { rows } = await models.pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${schema}.items WHERE tenant_id = $1`, [
      tenantId,
    ]);
    if (rows[0]?.n !== total) throw new Error(`${rows[0]?.n} of ${total} rows are there`);
    return rate;
  };
  const bare = async () => {
    const begun = performance.now();
    const client = await models.pool.connect();
    try {
      await client.query('BEGIN');
      await client.query(`DELETE FROM ${schema}.items WHERE tenant_id = $1`, [tenantId]);
      for (let from = 0; from < total; from += page) {
        const { rows } = await client.query<{ position: string; data: { name: string } }>({
          name: 'bare-page',
          text: 'SELECT * FROM log.events WHERE tenant_id = $1 AND position >= $2 ORDER BY position LIMIT $3',
          values: [tenantId, from, page],
        });
        await client.query({
          name: 'bare-rows',
          text: `INSERT INTO ${schema}.items SELECT * FROM json_to_recordset($1::json) AS r(tenant_id uuid, position int, name text)`,
          values: [JSON.stringify(rows.map((row) => ({ tenant_id: tenantId, position: Number(row.position), name: row.data.name })))],
        });
      }
      await client.query('COMMIT');
    } finally {
      client.release();
    }
    return total / ((performance.now() - begun) / 1_000);
  };
  // The first fills empty tables, event by event as they come; from the second on it is a rebuild.
  await ours();
  await bare();
  const [our, reference]: [number[], number[]] = [[], []];
  for (let n = 0; n < rounds; n++) {
    our.push(await ours());
    reference.push(await bare());
  }
  const result = { ours: round(median(our)), reference: round(median(reference)) };
  const ratio = round(result.ours / result.reference, 2);
  log(`rebuilding ${total} rows: ${result.ours}/s; bare loop: ${result.reference}/s; ratio ${ratio}`);
  return { ...result, ratio, references: { bare: result.reference }, ratios: { bare: ratio }, events: total };
}
