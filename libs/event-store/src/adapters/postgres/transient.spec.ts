import { describe, expect, it } from 'vitest';
import { isTransient } from './transient.js';

const coded = (code: string) => Object.assign(new Error('refused'), { code });

describe('an error', () => {
  it.each([
    ['a reset connection', coded('ECONNRESET'), true],
    ['a server that shuts down', coded('57P01'), true],
    ['one that recovers', coded('57P03'), true],
    ['a lost connection', new Error('Connection terminated unexpectedly'), true],
    ['a server that went without a word', new Error('Query read timeout'), true],
    ['the same, wrapped by the query builder', new Error('Failed query: SELECT 1\nparams: ', { cause: coded('ECONNRESET') }), true],
    ['all addresses of a host refused', new AggregateError([coded('ECONNREFUSED')]), true],
    ['a duplicate', coded('23505'), false],
    ['the same, wrapped', new Error('Failed query: INSERT\nparams: ', { cause: coded('23505') }), false],
    ['anything else', new Error('no'), false],
    ['no error at all', 'ECONNRESET', false],
  ])('that is %s', (_, error, expected) => {
    expect(isTransient(error)).toBe(expected);
  });
});
