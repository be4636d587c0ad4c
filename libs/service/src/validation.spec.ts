import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parsed, summary } from './validation.js';

const Plan = z.union([
  z.string().regex(/^[a-z]+$/, 'must be the name of a plan'),
  z.strictObject({ id: z.string(), days: z.number().int().min(1) }),
]);
const Body = z.strictObject({
  name: z.string().min(2).max(5),
  plan: Plan.optional(),
  kind: z.enum(['a', 'b']).optional(),
  state: z.union([z.enum(['on', 'off']), z.literal('idle')]).optional(),
  scope: z.union([z.literal('all'), z.array(z.enum(['a', 'b']))]).optional(),
  from: z
    .union([z.enum(['new', 'first']), z.strictObject({ time: z.iso.datetime() }), z.strictObject({ position: z.number() })])
    .optional(),
  email: z.email().optional(),
  id: z.uuid().optional(),
  at: z.iso.datetime().optional(),
  zone: z
    .string()
    .refine((zone) => zone === 'UTC', { message: 'must be a time zone', params: { rule: 'time_zone' } })
    .optional(),
  tags: z.array(z.string()).max(1).optional(),
  limits: z.record(z.string().regex(/^[a-z]+$/, 'must be the name of a resource'), z.number()).optional(),
});
const faults = (value: unknown) => {
  try {
    parsed(Body, value);
    return [];
  } catch (error) {
    return (error as { errors: { field: string; rule: string; message: string }[] }).errors.map(
      ({ field, rule, message }) => `${field} | ${rule} | ${message}`,
    );
  }
};

describe('a fault says where, which rule, and what to do', () => {
  it.each([
    [{}, 'name | required | is required'],
    [{ name: 1 }, 'name | type | must be a string'],
    [{ name: 'a' }, 'name | min_length | must have at least 2 characters'],
    [{ name: 'abcdef' }, 'name | max_length | must have at most 5 characters'],
    [{ name: 'ab', plan: 'No!' }, 'plan | format | must be the name of a plan'],
    [{ name: 'ab', plan: { id: 'a', days: 0 } }, 'plan.days | min | must be at least 1'],
    [{ name: 'ab', plan: { id: 'a', days: 1, more: 1 } }, 'plan.more | unknown | is not a known field'],
    [{ name: 'ab', plan: 7 }, 'plan | type | must be a string or an object'],
    [{ name: 'ab', kind: 'c' }, 'kind | enum | must be "a" or "b"'],
    [{ name: 'ab', state: 'c' }, 'state | enum | must be "on" or "off" or "idle"'],
    [{ name: 'ab', scope: ['c'] }, 'scope.0 | enum | must be "a" or "b"'],
    [{ name: 'ab', scope: 7 }, 'scope | type | must be "all" or an array'],
    [{ name: 'ab', from: 'x' }, 'from | type | must be "new" or "first" or an object'],
    [{ name: 'ab', from: {} }, 'from | format | has none of the possible forms: time is required; or: position is required'],
    [{ name: 'ab', email: 'x' }, 'email | email | must be an e-mail address'],
    [{ name: 'ab', id: 'x' }, 'id | uuid | must be a UUID'],
    [{ name: 'ab', at: 'x' }, 'at | datetime | must be an RFC 3339 instant such as 2026-01-31T12:00:00Z'],
    [{ name: 'ab', zone: 'X' }, 'zone | time_zone | must be a time zone'],
    [{ name: 'ab', tags: ['a', 'b'] }, 'tags | max_length | must have at most 1 entry'],
    [{ name: 'ab', limits: { 'No!': 1 } }, 'limits.No! | name | must be the name of a resource'],
    [{ name: 'ab', limits: { users: 'x' } }, 'limits.users | type | must be a number'],
    [{ name: 'ab', colour: 1 }, 'colour | unknown | is not a known field'],
    [null, ' | type | must be an object'],
    [undefined, ' | required | is required'],
  ])('%j', (value, fault) => {
    expect(faults(value)).toContain(fault);
  });
  it('names all at once, in words that can be read alone', () => {
    expect(faults({ kind: 'c', colour: 1 })).toHaveLength(3);
    expect(
      summary([
        { field: 'name', rule: 'required', message: 'is required' },
        { field: '', rule: 'type', message: 'must be an object' },
      ]),
    ).toBe('name is required; The body must be an object');
  });
});
