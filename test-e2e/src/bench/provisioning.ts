/**
 * Whole provisioning (request to active) of dedicated tenants with 8 in flight, against the bare compiled DDL (the
 * same script, grants included) run in one transaction per schema over 8 connections, in the same run on the same
 * server. Then the same for shared tenants, absolute. Prints CPU time per tenant by process, and what the script
 * makes. Last line: one JSON object. TENANTRY_BENCH_TENANTS changes the number (500).
 */

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { compiledScript } from '@tenantry/tenancy/compiled';
import { placementFor } from '@tenantry/tenancy/names';
import type { Placement } from '@tenantry/tenancy/placement';
import { dedicatedScript } from '@tenantry/tenancy/provision-schema';
import pg from 'pg';
import { type System, startSystem } from '../harness/system.js';
import { PLATFORM, settled } from '../harness/tenants.js';

const TENANTS = Number(process.env['TENANTRY_BENCH_TENANTS'] ?? 500);
const IN_FLIGHT = 8;

/** Runs `work` for 0 … n-1 with at most IN_FLIGHT at once; gives each one's milliseconds and the total's seconds. */
async function inFlight(n: number, work: (index: number) => Promise<void>): Promise<{ eachMs: number[]; seconds: number }> {
  const eachMs: number[] = [];
  let next = 0;
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (next < n) {
        const index = next++;
        const started = performance.now();
        await work(index);
        eachMs[index] = performance.now() - started;
      }
    }),
  );
  return { eachMs, seconds: (performance.now() - begun) / 1000 };
}

const percentile = (values: number[], p: number) =>
  Math.round([...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] as number);
const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

/** CPU seconds (user + system, with ended children) of a process and its descendants, by /proc. */
async function cpuSeconds(system: System): Promise<Record<string, number>> {
  const { readdir } = await import('node:fs/promises');
  const stat = async (pid: number) => {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return text ? { parent: Number(fields[1]), ticks: sum(fields.slice(11, 15).map(Number)) } : null;
  };
  const all = new Map<number, { parent: number; ticks: number }>();
  for (const entry of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const found = await stat(Number(entry));
    if (found) all.set(Number(entry), found);
  }
  const tree = (pid: number): number =>
    (all.get(pid)?.ticks ?? 0) + sum([...all].filter(([, { parent }]) => parent === pid).map(([child]) => tree(child)));
  return Object.fromEntries((await system.run()).processes.map(({ name, pid }) => [name, tree(pid) / 100]));
}

async function provision(system: System, isolation: string, n: number) {
  const before = await cpuSeconds(system);
  const measured = await inFlight(n, async (index) => {
    const created = await system.api.post(`${PLATFORM}/tenants`, {
      name: `Bench ${isolation} ${index}`,
      isolation,
      adminEmail: `admin${index}@bench.example`,
    });
    if (created.status !== 202) throw new Error(`${created.status}: ${created.text}`);
    const tenant = await settled(system.api, created.body.id, 60_000, 100);
    if (tenant.status !== 'active') throw new Error(`tenant ${tenant.id} is ${tenant.status}: ${tenant.statusReason}`);
  });
  const after = await cpuSeconds(system);
  const cpuMs = Object.fromEntries(
    Object.keys(after).map((name) => [name, Math.round((((after[name] as number) - (before[name] ?? 0)) * 10_000) / n) / 10]),
  );
  const window = Math.min(100, Math.floor(n / 2));
  const slowdown = sum(measured.eachMs.slice(-window)) / sum(measured.eachMs.slice(0, window));
  return {
    rate: n / measured.seconds,
    p50Ms: percentile(measured.eachMs, 0.5),
    p99Ms: percentile(measured.eachMs, 0.99),
    lastToFirst: Math.round(slowdown * 100) / 100,
    cpuMsPerTenant: cpuMs,
  };
}

async function bareDdl(url: string, n: number) {
  const pool = new pg.Pool({ connectionString: url, max: IN_FLIGHT });
  await pool.query('SELECT 1');
  const compiled = await compiledScript();
  const places = Array.from({ length: n }, () => placementFor(randomUUID(), 'dedicated'));
  const begun = await inFlight(n, async (index) => {
    const client = await pool.connect();
    try {
      await client.query(`BEGIN; SET LOCAL synchronous_commit = on; ${dedicatedScript(places[index] as Placement, compiled)}; COMMIT`);
    } finally {
      client.release();
    }
  });
  const counted = await pool.query(
    `SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = $1)::int AS tables, (SELECT count(*) FROM pg_indexes WHERE schemaname = $1)::int AS indexes,
            (SELECT count(*) FROM pg_policies WHERE schemaname = $1)::int AS policies`,
    [places[0]?.schema],
  );
  const { rows } = await pool.query("SELECT current_setting('server_version') AS version");
  await pool.end();
  return {
    rate: n / begun.seconds,
    p50Ms: percentile(begun.eachMs, 0.5),
    p99Ms: percentile(begun.eachMs, 0.99),
    script: counted.rows[0],
    postgres: rows[0].version as string,
  };
}

const system = await startSystem();
try {
  await provision(system, 'dedicated', 16); // warm-up
  const dedicated = await provision(system, 'dedicated', TENANTS);
  const reference = await bareDdl((await system.run()).postgresUrl.replace(/\/[^/]*$/, '/tenantry'), TENANTS);
  const shared = await provision(system, 'shared', TENANTS);
  const round = (value: number) => Math.round(value * 10) / 10;
  console.log(`script: ${reference.script.tables} tables, ${reference.script.indexes} indexes, ${reference.script.policies} policies`);
  console.log(
    `dedicated: ${round(dedicated.rate)}/s, p50 ${dedicated.p50Ms} ms, p99 ${dedicated.p99Ms} ms, last 100 / first 100: ${dedicated.lastToFirst}`,
  );
  console.log(`bare DDL: ${round(reference.rate)}/s, p50 ${reference.p50Ms} ms`);
  console.log(`shared: ${round(shared.rate)}/s, p50 ${shared.p50Ms} ms`);
  console.log('CPU ms per dedicated tenant by process:', dedicated.cpuMsPerTenant);
  const ratio = Math.round((dedicated.rate / reference.rate) * 1000) / 1000;
  const of = ({ rate, p50Ms, p99Ms, lastToFirst, cpuMsPerTenant }: typeof dedicated) => ({
    ours: round(rate),
    p50Ms,
    p99Ms,
    lastToFirst,
    cpuMsPerTenant,
  });
  console.log(
    JSON.stringify({
      bench: 'provisioning',
      machine: {
        cpus: cpus().length,
        memory: totalmem(),
        node: process.version,
        postgres: reference.postgres,
        nats: process.env['TENANTRY_NATS_VERSION'] ?? 'from PATH',
      },
      ours: round(dedicated.rate),
      reference: round(reference.rate),
      ratio,
      references: { ddl: round(reference.rate) },
      ratios: { ddl: ratio },
      p50Ms: dedicated.p50Ms,
      p99Ms: dedicated.p99Ms,
      results: { dedicated: { ...of(dedicated), reference: round(reference.rate), ratio }, shared: of(shared), script: reference.script },
    }),
  );
} finally {
  await system.stop();
}
