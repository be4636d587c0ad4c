import { ComeBack } from '@tenantry/messaging/effects';
import { printsFrom } from '@tenantry/tenancy/blueprint-objects';
import { describe, expect, it } from 'vitest';
import { outcomeOf } from './campaign.job.js';
import { drift, suspicious } from './drift.js';

const error = (code: string, more: object = {}) => Object.assign(new Error('secret value 4711'), { code, ...more });

describe('what becomes of a target whose migration fails', () => {
  it('waits before a closed gate, without an attempt', () => expect(() => outcomeOf(error('TG001'), 1)).toThrow(ComeBack));
  it('tries again while somebody holds a lock, and then has failed', () => {
    expect(() => outcomeOf(error('55P03'), 5)).toThrow('secret value');
    expect(() => outcomeOf(error('55P03'), 6)).toThrow('lockTimeoutMs');
  });
  it.each(['TG002', '08006', '57P01', '53300', 'XX000', ''])('tries again where the tables are not to blame: %s', (code) =>
    expect(() => outcomeOf(error(code), 1)).toThrow('secret value'),
  );
  it('is quarantined where its tables or rows refuse the SQL, with names and without values', () => {
    expect(outcomeOf(error('23505', { table: 'a', constraint: 'a_pkey' }), 1)).toEqual({
      status: 'quarantined',
      why: { code: 'blueprint.sql_failed', detail: 'SQLSTATE 23505: table a, constraint a_pkey; the rows that are there don’t allow it.' },
    });
    expect(outcomeOf(Object.assign(error('42701'), { message: 'column "x" already exists' }), 1)).toMatchObject({
      why: { detail: 'column "x" already exists (42701)' },
    });
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
