import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { newId } from '@tenantry/contracts/ids';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServiceSchema } from './spec-support.js';

let postgres: RunningPostgres;
let pool: pg.Pool;

beforeAll(async () => {
  postgres = await startPostgres();
  pool = new pg.Pool({ connectionString: postgres.url });
  await pool.query(
    'CREATE SCHEMA log; CREATE TABLE log.heads (tenant_id uuid PRIMARY KEY, position bigint NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now())',
  );
  await createServiceSchema(pool, 'mortal', 'CREATE TABLE names (tenant_id uuid PRIMARY KEY, name text NOT NULL)');
}, 60_000);
afterAll(async () => {
  await pool?.end();
  await postgres?.stop();
});

/** One life of the process. */
async function live(logs: Record<string, string[]>): Promise<'died' | 'up to date'> {
  const script = fileURLToPath(new URL('../dist/mortal-runner.js', import.meta.url));
  const child = spawn(process.execPath, [script, postgres.url, 'mortal', JSON.stringify(logs)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data: Buffer) => {
    said += data.toString();
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (signal === 'SIGKILL') return 'died';
  if (code !== 0) throw new Error(`it ended with ${code}`);
  return said.includes('up to date') ? 'up to date' : 'died';
}

describe('an event that kills the process', () => {
  it('is found and parked after a few deaths, and everything else is applied', async () => {
    const tenants = Array.from({ length: 8 }, newId);
    const logs = Object.fromEntries(tenants.map((id, n) => [id, n === 3 ? ['one', 'two', 'deadly', 'four'] : ['one', 'two']]));
    const [poisoned, healthy] = [tenants[3] as string, tenants[0] as string];
    const parked = async () => (await pool.query('SELECT position::int, type, next_retry_at FROM mortal.parked')).rows;
    let deaths = 0;
    for (let lives = 0; (await parked()).length === 0; lives++) {
      expect(lives).toBeLessThan(10);
      if ((await live(logs)) === 'died') deaths += 1;
    }
    expect(deaths).toBeGreaterThan(1);
    expect(await live(logs)).toBe('up to date');
    const nameOf = async (id: string) => (await pool.query('SELECT name FROM mortal.names WHERE tenant_id = $1', [id])).rows[0]?.name;
    expect(await nameOf(poisoned)).toBe('two');
    expect(await nameOf(healthy)).toBe('two');
    expect(await parked()).toEqual([{ position: 2, type: 'TenantUpdated', next_retry_at: null }]);
    // It stays so: nobody but an operator has it tried again.
    expect(await live(logs)).toBe('up to date');
  }, 60_000);
});
