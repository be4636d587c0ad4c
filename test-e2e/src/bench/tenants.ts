/**
 * What one tenant costs when there are many: dedicated tenants are added, over two databases, until there are 100, then 1,000, then 5,000, and
 * at each number the same things are measured: provisioning of one at a time, a page of the list, reads in one tenant's own schema, memory of the services and
 * of PostgreSQL's backends. The reference is the smallest number of tenants in the same run. Last line: one JSON object.
 * TENANTRY_BENCH_SIZES changes the numbers (`100,1000,5000`), TENANTRY_BENCH_READS how much is read at each (2000).
 */

import { readdir, readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type System, startSystem } from '../harness/system.js';
import { PLATFORM, settled } from '../harness/tenants.js';

const SIZES = (process.env['TENANTRY_BENCH_SIZES'] ?? '100,1000,5000').split(',').map(Number);
const FILLING = 8;
const PROVISIONED = 30;
const PAGES = 200;
const READS = Number(process.env['TENANTRY_BENCH_READS'] ?? 2_000);
const READING = 2;
/** How much worse than at the smallest number a figure may be. */
const TARGET = 1.3;
const sorts = ['-createdAt', 'name', '-mrr', 'plan', '-updatedAt', 'slug'];

interface Standing {
  provisioningP50Ms: number;
  listP50Ms: number;
  readP50Ms: number;
  readP99Ms: number;
  /** Of all services together. */
  rssMb: number;
  rssMbByService: Record<string, number>;
  /** Memory of its own of the average backend that serves the platform's logins. */
  backendMb: number;
  /** Of the largest one. */
  backendMaxMb: number;
  backends: number;
}
/** Beside the control plane's; its login's name begins as those of the services do, so that its backends are counted. */
const SECOND = 'tenantry_tenants_2';
const measures = ['provisioningP50Ms', 'listP50Ms', 'readP50Ms', 'readP99Ms', 'rssMb', 'backendMb'] as const;

const percentile = (values: number[], p: number) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] as number;
const round = (value: number, places = 1) => Math.round(value * 10 ** places) / 10 ** places;
const any = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)] as T;
const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
};

async function create(system: System, n: number): Promise<string> {
  const { status, body, text } = await system.api.post(`${PLATFORM}/tenants`, {
    name: `Tenant ${n} ${Math.random().toString(36).slice(2, 8)}`,
    plan: any(['free', 'professional', 'business', 'enterprise']),
    isolation: 'dedicated',
    tags: [`group-${n % 20}`],
    adminEmail: `admin${n}@bench.example`,
  });
  if (status !== 202) throw new Error(`creation answered ${status}: ${text}`);
  const tenant = await settled(system.api, body.id, 60_000, 10);
  if (tenant.status !== 'active') throw new Error(`tenant ${tenant.id} is ${tenant.status}: ${tenant.statusReason}`);
  return tenant.id;
}

async function fill(system: System, ids: string[], upTo: number): Promise<void> {
  let next = ids.length;
  await Promise.all(
    Array.from({ length: FILLING }, async () => {
      while (next < upTo) ids.push(await create(system, next++));
    }),
  );
}

/** Read models have caught up when no consumer is behind any more. */
async function quiet(system: System): Promise<void> {
  for (let calm = 0; calm < 3; ) {
    const { processes } = await system.run();
    const texts = await Promise.all(
      processes
        .filter(({ healthUrl }) => healthUrl !== null)
        .map(async ({ healthUrl }) => (await fetch(healthUrl.replace('/readyz', '/metrics')).catch(() => null))?.text() ?? ''),
    );
    const behind = texts
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.startsWith('tenantry_consumer_lag_events'))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    calm = behind === 0 ? calm + 1 : 0;
    await sleep(1_000);
  }
}

const statusOf = async (pid: number): Promise<Record<string, number>> => {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Object.fromEntries([...text.matchAll(/^(\w+):\s+(\d+)(?: kB)?$/gm)].map(([, name, value]) => [name, Number(value)]));
};

async function memory(system: System): Promise<Pick<Standing, 'rssMb' | 'rssMbByService' | 'backendMb' | 'backendMaxMb' | 'backends'>> {
  const { processes, postgresUrl } = await system.run();
  const rssMbByService: Record<string, number> = {};
  for (const { name, pid } of processes)
    if (name !== 'postgres' && name !== 'nats')
      rssMbByService[name] = round((rssMbByService[name] ?? 0) + ((await statusOf(pid))['VmRSS'] ?? 0) / 1024);
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  const { rows } = await client.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename LIKE 'tenantry\\_%'`,
  );
  await client.end();
  const own = await Promise.all(rows.map(async ({ pid }) => ((await statusOf(pid))['RssAnon'] ?? 0) / 1024));
  return {
    rssMb: round(Object.values(rssMbByService).reduce((sum, mb) => sum + mb, 0)),
    rssMbByService,
    backendMb: round(own.reduce((sum, mb) => sum + mb, 0) / Math.max(1, own.length)),
    backendMaxMb: round(Math.max(0, ...own)),
    backends: own.length,
  };
}

async function measure(system: System, ids: string[]): Promise<Standing> {
  const provisioning: number[] = [];
  for (let n = 0; n < PROVISIONED; n++) provisioning.push(await timed(async () => ids.push(await create(system, ids.length))));
  await quiet(system);
  const ok = async (path: string) => {
    const { status, text } = await system.api.get(path);
    if (status !== 200) throw new Error(`${path} answered ${status}: ${text.slice(0, 300)}`);
  };
  const filters = ['', '&status=active', '&q=tenant', '&tag=group-3', '&tier=business'];
  const pages: number[] = [];
  for (let n = 0; n < PAGES; n++) pages.push(await timed(() => ok(`${PLATFORM}/tenants?limit=50&sort=${any(sorts)}${any(filters)}`)));
  const reads: number[] = [];
  await Promise.all(
    Array.from({ length: READING }, async () => {
      for (let n = 0; n < READS / READING; n++) reads.push(await timed(() => ok(`/api/tenants/${any(ids)}/audit-logs?limit=20`)));
    }),
  );
  return {
    provisioningP50Ms: round(percentile(provisioning, 0.5)),
    listP50Ms: round(percentile(pages, 0.5)),
    readP50Ms: round(percentile(reads, 0.5), 2),
    readP99Ms: round(percentile(reads, 0.99), 2),
    ...(await memory(system)),
  };
}

const system = await startSystem();
try {
  if (!(await readdir('/proc').catch(() => [])).length) throw new Error('memory is read from /proc: run this on Linux');
  const second = await system.api.post(`${PLATFORM}/servers/default/databases`, { name: SECOND, accepts: ['dedicated'] });
  if (second.status !== 201) throw new Error(`the second database answered ${second.status}: ${second.text}`);
  const ids: string[] = [];
  for (let n = 0; n < 10; n++) ids.push(await create(system, n)); // warm-up
  const results: Record<string, Standing> = {};
  for (const size of SIZES) {
    const seconds = (await timed(() => fill(system, ids, size - PROVISIONED))) / 1_000;
    const standing = await measure(system, ids);
    results[size] = standing;
    console.log(`${ids.length} dedicated tenants (filled in ${round(seconds)} s): ${JSON.stringify(standing)}`);
  }
  const { items: databases } = (await system.api.get(`${PLATFORM}/servers/default/databases`)).body;
  for (const { name, tenants } of databases) console.log(`${name}: ${tenants} tenants`);
  const first = results[SIZES[0] as number] as Standing;
  const last = results[SIZES.at(-1) as number] as Standing;
  const ratios = Object.fromEntries(measures.map((name) => [name, round(last[name] / first[name], 2)]));
  for (const name of measures)
    console.log(
      `${name}: ${first[name]} → ${last[name]}, × ${ratios[name]}${(ratios[name] as number) > TARGET ? ` (above ${TARGET})` : ''}`,
    );
  const client = new pg.Client({ connectionString: (await system.run()).postgresUrl });
  await client.connect();
  const { rows } = await client.query("SELECT current_setting('server_version') AS version");
  await client.end();
  const [ours, reference] = [1_000 / last.readP50Ms, 1_000 / first.readP50Ms];
  console.log(
    JSON.stringify({
      bench: 'tenants',
      machine: {
        cpus: cpus().length,
        memory: totalmem(),
        node: process.version,
        postgres: rows[0].version,
        nats: process.env['TENANTRY_NATS_VERSION'] ?? 'from PATH',
      },
      ours: round(ours),
      reference: round(reference),
      ratio: round(ours / reference, 3),
      references: { [`at ${SIZES[0]}`]: round(reference) },
      ratios,
      p50Ms: last.readP50Ms,
      p99Ms: last.readP99Ms,
      results,
    }),
  );
} finally {
  await system.stop();
}
