import { readFile } from 'node:fs/promises';
import { newId } from '@tenantry/contracts/ids';
import { silentLogger } from '@tenantry/observability/logger';
import { createPool, PostgresDatabase } from '@tenantry/service/postgres';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FirstRequests } from './first-requests.js';
import { MemoryFirstRequests } from './memory-first-requests.js';
import { PostgresFirstRequests } from './postgres-first-requests.js';

let postgres: RunningPostgres;
let pool: Pool;
beforeAll(async () => {
  postgres = await startPostgres();
  pool = createPool({ url: postgres.url, name: 'spec', max: 4, logger: silentLogger });
  const migration = await readFile(new URL('../../migrations/service/0001_idempotency.sql', import.meta.url), 'utf8');
  await pool.query(`CREATE SCHEMA gateway; SET search_path = gateway; ${migration}; RESET search_path`);
});
afterAll(async () => {
  await pool?.end();
  await postgres?.stop();
});

describe.each([
  ['in memory', () => new MemoryFirstRequests()],
  ['in PostgreSQL', () => new PostgresFirstRequests(new PostgresDatabase(pool))],
] as [string, () => FirstRequests][])('first requests %s', (_where, make) => {
  const claim = (more: { commandId: string } & Partial<Parameters<FirstRequests['claim']>[0]>) => ({
    requestHash: 'h',
    holder: newId(),
    leaseMs: 10_000,
    ...more,
  });
  const answer = { status: 202, headers: { location: '/x', 'content-type': 'application/json' }, body: '{"a": 1}', sealedFor: null };

  it('lets exactly one of many work', async () => {
    const firsts = make();
    const commandId = newId();
    const claims = await Promise.all(Array.from({ length: 20 }, () => firsts.claim(claim({ commandId }))));
    expect(claims.filter((known) => known === null)).toHaveLength(1);
    expect(claims.filter((known) => known?.state === 'in_flight' && known.answer === null)).toHaveLength(19);
  });
  it('gives the answer back byte for byte', async () => {
    const firsts = make();
    const mine = claim({ commandId: newId() });
    await firsts.claim(mine);
    await firsts.finish(mine.commandId, mine.holder, answer, 10_000);
    expect(await firsts.claim(claim({ commandId: mine.commandId, requestHash: 'other' }))).toEqual({
      requestHash: 'h',
      state: 'done',
      answer,
    });
  });
  it('starts anew when it was released, or has expired', async () => {
    const firsts = make();
    const mine = claim({ commandId: newId() });
    await firsts.claim(mine);
    await firsts.release(mine.commandId, mine.holder);
    expect(await firsts.claim(mine)).toBeNull();
    await firsts.finish(mine.commandId, mine.holder, answer, -1_000);
    expect(await firsts.claim(claim({ commandId: mine.commandId, requestHash: 'other' }))).toBeNull();
  });
  it('passes to the next one when whoever worked on it is gone, who then changes nothing any more', async () => {
    const firsts = make();
    const gone = claim({ commandId: newId(), leaseMs: -1_000 });
    await firsts.claim(gone);
    expect(await firsts.claim(claim({ commandId: gone.commandId, requestHash: 'other' }))).toMatchObject({ state: 'in_flight' });
    const next = claim({ commandId: gone.commandId });
    expect(await firsts.claim(next)).toBeNull();
    await firsts.finish(gone.commandId, gone.holder, { ...answer, status: 500 }, 10_000);
    await firsts.release(gone.commandId, gone.holder);
    await firsts.finish(next.commandId, next.holder, answer, 10_000);
    expect(await firsts.claim(claim({ commandId: gone.commandId }))).toMatchObject({ state: 'done', answer: { status: 202 } });
  });
  it('stays with whoever prolongs it', async () => {
    const firsts = make();
    const mine = claim({ commandId: newId(), leaseMs: -1_000 });
    await firsts.claim(mine);
    await firsts.prolong(mine.commandId, mine.holder, 10_000);
    expect(await firsts.claim(claim({ commandId: mine.commandId }))).toMatchObject({ state: 'in_flight' });
  });
  it('removes what has expired', async () => {
    const firsts = make();
    const mine = claim({ commandId: newId() });
    await firsts.claim(mine);
    await firsts.finish(mine.commandId, mine.holder, answer, -1_000);
    expect(await firsts.purge(100)).toBeGreaterThanOrEqual(1);
    expect(await firsts.purge(100)).toBe(0);
  });
});
