/** The follower of part g in a thread of its own, as in production it is in the relay's process. Says which logs it copied. */

import { randomUUID } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { connectKurrentDb } from '@tenantry/event-store/adapters/kurrentdb/connection';
import { Follower } from '@tenantry/event-store/adapters/kurrentdb/follower';
import { silentLogger } from '@tenantry/observability/logger';
import pg from 'pg';

const { kurrentDb, postgres } = workerData as { kurrentDb: string; postgres: string };
const client = connectKurrentDb(kurrentDb, 'bench-follower');
const pool = new pg.Pool({ connectionString: postgres, max: 4 });
const follower = new Follower({
  client,
  pool,
  owner: randomUUID(),
  logger: silentLogger,
  onCopied: (tenants) => parentPort?.postMessage(tenants),
});
follower.start();
parentPort?.once('message', async () => {
  await follower.stop();
  await client.dispose();
  await pool.end();
  parentPort?.close();
});
