import { ComeBack } from '@tenantry/messaging/effects';
import { printsFrom } from '@tenantry/tenancy/blueprint-objects';
import { describe, expect, it } from 'vitest';
import { outcomeOf } from './campaign-outcome.js';
import { drift, suspicious } from './drift.js';

const error = (code: string, more: object = {}) => Object.assign(new Error('secret value 4711'), { code, severity: 'ERROR', ...more });
/** As `tenancy.run_app` says it. */
const failed = (state: string, at: number, more: object = {}) => error('TG006', { message: `${state} in statement ${at}`, ...more });
const of = [
  { blueprint: 'crm', version: 2, statement: null },
  { blueprint: 'crm', version: 2, statement: 1 },
];
const said = (work: () => unknown): string => {
  try {
    return JSON.stringify(work());
  } catch (thrown) {
    return JSON.stringify(Object.getOwnPropertyNames(thrown).map((name) => (thrown as Record<string, unknown>)[name]));
  }
};

describe('what becomes of a target whose migration fails', () => {
  it('waits before a closed gate, without an attempt', () => expect(() => outcomeOf(error('TG001'), 1)).toThrow(ComeBack));
  it('tries again while somebody holds a lock, and then has failed', () => {
    expect(() => outcomeOf(failed('55P03', 2), 5, of)).toThrow('Statement 1 of version 2 of crm failed with SQLSTATE 55P03');
    expect(() => outcomeOf(failed('55P03', 2), 6, of)).toThrow('lockTimeoutMs');
  });
  it.each(['TG002', '08006', '57P01', '53300', 'XX000'])('tries again where the tables are not to blame: %s', (code) => {
    expect(() => outcomeOf(error(code), 1)).toThrow(code);
    expect(() => outcomeOf(failed(code, 2), 1, of)).toThrow(code);
  });
  it('passes on what the driver says', () => expect(() => outcomeOf(new Error('read ECONNRESET'), 1)).toThrow('read ECONNRESET'));
  it('is quarantined where its tables or rows refuse the SQL, with the statement and names', () => {
    expect(outcomeOf(failed('23505', 2, { table: 'a', constraint: 'a_pkey' }), 1, of)).toEqual({
      status: 'quarantined',
      why: {
        code: 'blueprint.sql_failed',
        detail: 'Statement 1 of version 2 of crm failed: rows share what must be unique (SQLSTATE 23505; table a, constraint a_pkey).',
      },
    });
    expect(outcomeOf(failed('42701', 1), 1, of)).toMatchObject({
      why: { detail: expect.stringMatching(/^Row-level security and rights of version 2.*column already/) },
    });
    expect(outcomeOf(failed('23503', 3), 1, of)).toMatchObject({ why: { detail: expect.stringContaining('After its last statement') } });
    expect(outcomeOf(error('42701'), 1)).toMatchObject({ why: { detail: 'It failed: there is such a column already (SQLSTATE 42701).' } });
  });
  it('is quarantined where the SQL would leave it open', () =>
    expect(outcomeOf(error('TG007', { message: 'contacts: row-level security is not forced' }), 1, of)).toEqual({
      status: 'quarantined',
      why: { code: 'blueprint.target_open', detail: 'contacts: row-level security is not forced. Nothing was changed.' },
    }));
  it('never tells what an error says, for it may hold values of rows', () => {
    const states = ['0A000', '22P02', '23505', '23514', '42P01', 'P0001', '55P03', '40P01', '57014', 'XX000', '53100', 'TG002', '99999'];
    for (const state of states)
      for (const attempt of [1, 6])
        expect(said(() => outcomeOf(error(state, { detail: 'secret', hint: 'secret', where: 'secret' }), attempt))).not.toContain('secret');
  });
});

describe('drift', () => {
  const one = { 'table a': ['column x'] };
  const two = { 'table a': ['column x', 'column y'] };
  const own = new Map([
    [1, one],
    [2, two],
  ]);
  const at = { tenantId: 't', target: 'd.s' };
  it('is none where all is as the ledger says', () => {
    expect(drift(at, 2, own, [], two)).toBeNull();
    expect(suspicious([one, { 'view v': ['x'] }], printsFrom({ ...one, 'view v': ['x'] }))).toBe(false);
  });
  it('finds another version, nothing, and what is no version', () => {
    expect(drift(at, 2, own, [], one)).toMatchObject({ expected: 2, found: 1, differences: ['table a: missing: column y'] });
    expect(drift(at, 2, own, [], {})).toMatchObject({ found: 0, differences: ['missing: table a'] });
    expect(drift(at, 1, own, [], { ...one, 'table b': [] })).toMatchObject({ found: null, differences: ['unexpected: table b'] });
    expect(suspicious([one], printsFrom(two))).toBe(true);
  });
  it('leaves other blueprints’ objects to them', () =>
    expect(drift(at, 1, own, [{ 'table b': ['z'] }], { ...one, 'table b': [] })).toBeNull());
});
