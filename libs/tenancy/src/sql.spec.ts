import { describe, expect, it } from 'vitest';
import { identifier, literal, uuidLiteral, withNames } from './sql.js';

describe('SQL from names and texts', () => {
  it('quotes names', () => {
    expect(identifier('a"; DROP TABLE x; --')).toBe('"a""; DROP TABLE x; --"');
    for (const name of ['', 'a\0b', 'x'.repeat(64), 'ä'.repeat(32)]) expect(() => identifier(name)).toThrow();
  });
  it('quotes texts', () => {
    expect(literal("it's")).toBe("'it''s'");
    expect(literal("\\'")).toBe(" E'\\\\'''");
    expect(() => literal('\0')).toThrow();
  });
  it('takes UUIDs only', () => {
    expect(() => uuidLiteral("x'")).toThrow();
    expect(() => uuidLiteral('6F1D3C52-7C0E-4C0A-9D5E-1F5A8F3C2B77')).toThrow();
  });
  it('fills every token of a script, and only those', () => {
    expect(withNames('CREATE SCHEMA :"schema"; SELECT \'a:b\'::text', { schema: 'a"$&' })).toBe(
      'CREATE SCHEMA "a""$&"; SELECT \'a:b\'::text',
    );
    expect(() => withNames(':"role"', {})).toThrow('role');
  });
});
