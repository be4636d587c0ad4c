import { describe, expect, it } from 'vitest';
import { verdictOf } from '../attempt.js';
import { callOf, judgedCalls } from './function-attempts.js';
import type { RowOutcome } from './rows.js';
import { judged, NOT_ALLOWED, planned, refusedWith, structure } from './table-attempts.js';
import { plannedOfView, structureOfView, type TenantView } from './view-attempts.js';

const own = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b77';
const foreign = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b78';
const table = { schema: 't_x', name: 'config_settings', hasTenantId: true, guarded: true };
const outcome = (attempt: string, result: RowOutcome, level: 'shared' | 'dedicated' = 'dedicated') => {
  const found = planned(table, { own, foreign, level }).find((one) => one.attempt === attempt);
  if (!found) throw new Error(`no attempt to ${attempt}`);
  return judged(found, result).outcome;
};

describe('attempts at a table', () => {
  it('hold where nothing is seen and nothing changes', () => {
    for (const attempt of ['read without a context', "read in another tenant's context", 'give its rows to another tenant']) {
      expect(outcome(attempt, { rows: 0 })).toBe('held');
      expect(outcome(attempt, { refused: '22P02' })).toBe('held');
      expect(outcome(attempt, { rows: 1 })).toBe('breached');
    }
  });
  it('hold for a foreign row only where it is refused as one', () => {
    expect(outcome('write a row of another tenant', { refused: '42501' })).toBe('held');
    // A value was missing: so nobody had looked whose row it is.
    expect(outcome('write a row of another tenant', { refused: '23502' })).toBe('breached');
    expect(outcome('write a row of another tenant', { rows: 1 })).toBe('breached');
  });
  it('say nothing of a foreign row that the table’s own code refuses first', () => {
    const tried = (refused: string) => outcome('write a row of another tenant', { refused, byOwnCode: true });
    expect([tried('P0001'), tried('23514'), tried('42501')]).toEqual(['not_applicable', 'not_applicable', 'held']);
  });
  it('look at the rows of others where they share the table', () => {
    expect(outcome('read rows of others in its own context', { rows: 1 }, 'shared')).toBe('breached');
    expect(() => outcome("read in another tenant's context", { rows: 0 }, 'shared')).toThrow('no attempt');
  });
  it('don’t overlook a table without row-level security that happens to be empty', () => {
    const open = { ...table, guarded: false };
    expect(structure(table, 'shared', false).outcome).toBe('held');
    expect(structure(open, 'dedicated', false).outcome).toBe('breached');
    expect(structure({ ...open, hasTenantId: false }, 'dedicated', true).outcome).toBe('not_applicable');
    expect(structure({ ...open, hasTenantId: false }, 'shared', true).outcome).toBe('breached');
    expect(structure({ ...open, hasTenantId: true }, 'dedicated', true).outcome).toBe('breached');
  });
  it('at what takes rights hold only where these are missing', () => {
    expect(refusedWith(NOT_ALLOWED, 'make a role', { refused: '42501' }).outcome).toBe('held');
    // There is no such table: nothing was tried.
    expect(refusedWith(NOT_ALLOWED, 'make a role', { refused: '42P01' }).outcome).toBe('breached');
    expect(refusedWith(NOT_ALLOWED, 'make a role', { rows: 0 }).outcome).toBe('breached');
  });
  it('are breached as a whole by one', () => {
    const at = { boundary: 'database', target: 't', attempt: 'a', detail: '' } as const;
    expect(
      verdictOf([
        { ...at, outcome: 'held' },
        { ...at, outcome: 'not_applicable' },
      ]),
    ).toBe('held');
    expect(
      verdictOf([
        { ...at, outcome: 'held' },
        { ...at, outcome: 'breached' },
      ]),
    ).toBe('breached');
  });
});

describe('attempts at a view', () => {
  const view: TenantView = { schema: 'app_x', name: 'open_orders', materialized: false, hasTenantId: true, overTenants: true };
  const tried = (of: Partial<TenantView>, level: 'shared' | 'dedicated') => plannedOfView({ ...view, ...of }, { own, foreign, level });
  const outcomeOf = (attempt: string, result: RowOutcome) => {
    const found = tried({}, 'shared').find((one) => one.attempt === attempt);
    if (!found) throw new Error(`no attempt to ${attempt}`);
    return judged(found, result).outcome;
  };

  it('hold where nothing is seen, and nothing of another tenant is taken', () => {
    expect(outcomeOf('read without a context', { rows: 0 })).toBe('held');
    expect(outcomeOf('read without a context', { rows: 1 })).toBe('breached');
    expect(outcomeOf('read rows of others in its own context', { rows: 1 })).toBe('breached');
    // It takes no rows at all.
    expect(outcomeOf('write a row of another tenant', { refused: '55000' })).toBe('held');
    expect(outcomeOf('write a row of another tenant', { refused: '23502' })).toBe('breached');
  });

  it('are those that can tell whose rows are seen', () => {
    const names = (of: Partial<TenantView>, level: 'shared' | 'dedicated') => tried(of, level).map(({ attempt }) => attempt);
    expect(names({ hasTenantId: false }, 'shared')).toEqual(['read without a context']);
    expect(names({ hasTenantId: false }, 'dedicated')).toEqual(['read without a context', "read in another tenant's context"]);
    expect(names({ hasTenantId: false, overTenants: false }, 'dedicated')).toEqual([]);
  });

  it('find a view that keeps rows of all tenants', () => {
    expect(structureOfView(view, 'shared').outcome).toBe('held');
    expect(structureOfView({ ...view, materialized: true }, 'shared').outcome).toBe('breached');
    expect(structureOfView({ ...view, materialized: true }, 'isolated').outcome).toBe('not_applicable');
  });
});

describe('attempts to call functions', () => {
  const append = { name: 'append', argumentTypes: ['jsonb'] };
  it('name every argument', () => {
    expect(callOf('log', { name: 'read_stream', argumentTypes: ['uuid', 'text[]'] })).toBe(
      'SELECT "log"."read_stream"(NULL::uuid, NULL::text[])',
    );
  });

  it('hold where none may be called, or is there', () => {
    for (const refused of [NOT_ALLOWED, '3F000', '42883']) expect(judgedCalls([append], [{ refused }]).outcome).toBe('held');
  });

  it('have got through where the function ran, however it ended', () => {
    expect(judgedCalls([append], [{ rows: 1 }]).outcome).toBe('breached');
    expect(judgedCalls([append], [{ refused: '22004' }])).toMatchObject({ outcome: 'breached', detail: 'can be called: append' });
    expect(judgedCalls([append], []).outcome).toBe('breached');
  });
});
