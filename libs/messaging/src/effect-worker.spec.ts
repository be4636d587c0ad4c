import { newId } from '@tenantry/contracts/ids';
import { silentLogger } from '@tenantry/observability/logger';
import { eventually } from '@tenantry/testing/eventually';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EffectWorker, type EffectWorkerOptions } from './effect-worker.js';
import { ComeBack, type Effect, EffectHandler, GiveUp } from './effects.js';
import { PostgresEffects } from './postgres-effects.js';
import { Retention } from './retention.js';
import { SystemScheduler } from './scheduler.js';
import { createServiceSchema } from './spec-support.js';

let postgres: RunningPostgres;
let pool: pg.Pool;
const workers: EffectWorker[] = [];

class Handler extends EffectHandler {
  readonly runs: Effect[] = [];
  constructor(
    readonly effect: string,
    private readonly work: (effect: Effect) => Promise<void> = async () => undefined,
    override readonly concurrency = 8,
  ) {
    super();
  }
  override async run(effect: Effect): Promise<void> {
    this.runs.push(effect);
    await this.work(effect);
  }
}
const worker = (handler: Handler, options: Partial<EffectWorkerOptions> = {}, owner?: string) => {
  const made = new EffectWorker({
    store: new PostgresEffects(pool, 'svc'),
    scheduler: new SystemScheduler(),
    handlers: [handler],
    logger: silentLogger,
    owner,
    options: { pollMs: 50, baseMs: 10, ...options },
  });
  workers.push(made);
  made.start();
  return made;
};
async function request(name: string, payload: unknown = {}): Promise<string> {
  const id = newId();
  await pool.query('INSERT INTO svc.effects (id, tenant_id, name, payload, causation_id) VALUES ($1, $2, $3, $4, $5)', [
    id,
    newId(),
    name,
    payload,
    newId(),
  ]);
  return id;
}
const stateOf = async (id: string) =>
  (await pool.query('SELECT state, claims, failures, last_error FROM svc.effects WHERE id = $1', [id])).rows[0];
const reaches = (id: string, state: string) =>
  eventually(async () => (await stateOf(id)).state === state, { what: `effect to be ${state}` });

beforeAll(async () => {
  postgres = await startPostgres();
  pool = new pg.Pool({ connectionString: postgres.url, max: 10 });
  await createServiceSchema(pool, 'svc');
}, 90_000);
afterEach(async () => {
  await Promise.all(workers.splice(0).map((each) => each.stop(0)));
});
afterAll(async () => {
  await pool?.end();
  await postgres?.stop();
});

describe('the effect worker', () => {
  it('runs every effect once, shared by two workers, no more at a time than the handler allows', async () => {
    let now = 0;
    let most = 0;
    const handler = new Handler(
      'many',
      async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 5));
        now -= 1;
      },
      3,
    );
    const ids = await Promise.all(Array.from({ length: 40 }, (_, n) => request('many', { n })));
    worker(handler);
    worker(handler);
    await Promise.all(ids.map((id) => reaches(id, 'done')));
    expect(handler.runs.map(({ id }) => id).sort()).toEqual(ids.sort());
    expect(most).toBeLessThanOrEqual(6);
  });

  it('tries again after a failure, with the same id', async () => {
    const handler = new Handler('flaky', async ({ attempt }) => {
      if (attempt < 3) throw new Error('not yet');
    });
    const id = await request('flaky', { to: 'x' });
    worker(handler);
    await reaches(id, 'done');
    expect(handler.runs.map((run) => [run.id, run.attempt, run.payload])).toEqual([1, 2, 3].map((attempt) => [id, attempt, { to: 'x' }]));
  });

  it('parks what gives up, and what has failed too often', async () => {
    const [never, often] = [await request('never'), await request('often')];
    worker(new Handler('never', () => Promise.reject(new GiveUp('the address does not exist'))));
    worker(new Handler('often', () => Promise.reject(new Error('no'))), { maxAttempts: 2 });
    await reaches(never, 'parked');
    await reaches(often, 'parked');
    expect(await stateOf(never)).toMatchObject({ failures: 1, last_error: expect.stringContaining('does not exist') });
    expect(await stateOf(often)).toMatchObject({ failures: 2 });
  });

  it('takes over an effect whose worker died, and the late outcome of the first does not count', async () => {
    const id = await request('lost');
    // A worker that claimed it and will never renew its lease.
    await pool.query(
      "UPDATE svc.effects SET state = 'running', claims = 1, lease_until = now(), next_attempt_at = now() + interval '200 ms' WHERE id = $1",
      [id],
    );
    const handler = new Handler('lost');
    worker(handler);
    await reaches(id, 'done');
    expect(handler.runs.map(({ attempt }) => attempt)).toEqual([1]);
    expect(await stateOf(id)).toMatchObject({ claims: 2, failures: 0 });
  });

  it('takes up at once what the same owner held when it died', async () => {
    const id = await request('held');
    await pool.query(
      "UPDATE svc.effects SET state = 'running', claims = 1, owner = 'svc-0', next_attempt_at = now() + interval '1 hour' WHERE id = $1",
      [id],
    );
    worker(new Handler('held'), {}, 'svc-0');
    await reaches(id, 'done');
  });

  it('comes back when the handler says so, without counting a failure', async () => {
    let runs = 0;
    const handler = new Handler('patient', async () => {
      runs += 1;
      if (runs < 4) throw new ComeBack(20);
    });
    const id = await request('patient');
    worker(handler, { maxAttempts: 2 });
    await reaches(id, 'done');
    expect(await stateOf(id)).toMatchObject({ claims: 4, failures: 0 });
  });

  it('keeps the lease of an effect that takes long', async () => {
    const handler = new Handler('long', () => new Promise((resolve) => setTimeout(resolve, 900)));
    const id = await request('long');
    worker(handler, { leaseMs: 300 });
    worker(handler, { leaseMs: 300 });
    await reaches(id, 'done');
    expect(handler.runs).toHaveLength(1);
  });

  it('gives leases back at shutdown, so that another worker need not wait', async () => {
    const handler = new Handler(
      'stuck',
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    const id = await request('stuck');
    const first = worker(handler);
    await eventually(() => handler.runs.length === 1);
    await first.stop();
    expect(await stateOf(id)).toMatchObject({ state: 'pending' });
    expect(handler.runs[0]?.signal.aborted).toBe(true);
  });

  it('leaves effects that were done to be deleted a week later, and no others', async () => {
    const [old, recent, parked] = [await request('kept'), await request('kept'), await request('kept')];
    await pool.query("UPDATE svc.effects SET state = 'done', next_attempt_at = now() - interval '9 days' WHERE id = $1", [old]);
    await pool.query("UPDATE svc.effects SET state = 'done', next_attempt_at = now() - interval '6 days' WHERE id = $1", [recent]);
    await pool.query("UPDATE svc.effects SET state = 'parked', next_attempt_at = now() - interval '90 days' WHERE id = $1", [parked]);
    await new Retention({ pool, schema: 'svc', scheduler: new SystemScheduler(), logger: silentLogger }).run();
    const { rows } = await pool.query("SELECT id FROM svc.effects WHERE name = 'kept' ORDER BY state", []);
    expect(rows.map(({ id }) => id)).toEqual([recent, parked]);
  });
});
