import { describe, expect, it } from 'vitest';
import { childTraceparent, parseTraceparent, traceIdOf } from './traceparent.js';

const valid = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('a traceparent', () => {
  it('is taken apart', () => {
    expect(parseTraceparent(valid)).toEqual({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', flags: '01' });
  });
  it('of a later version may have more parts', () => {
    expect(parseTraceparent(`01${valid.slice(2)}-more`)).toMatchObject({ spanId: 'b7ad6b7169203331' });
  });
  it.each([
    undefined,
    '',
    'x',
    valid.toUpperCase(),
    `${valid}-more`,
    `ff${valid.slice(2)}`,
    valid.replace(/[0-9a-f]{32}/, '0'.repeat(32)),
    valid.replace(/b7ad6b7169203331/, '0'.repeat(16)),
    valid.repeat(10),
  ])('is refused: %s', (text) => expect(parseTraceparent(text)).toBeNull());
});

describe('a child', () => {
  it('stays in the trace, with a span of its own', () => {
    const child = parseTraceparent(childTraceparent(valid));
    expect(child).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c', flags: '01' });
    expect(child?.spanId).not.toBe('b7ad6b7169203331');
  });
  it('begins a trace where there is none, or none that can be read', () => {
    expect(parseTraceparent(childTraceparent())).not.toBeNull();
    expect(parseTraceparent(childTraceparent('nonsense'))).not.toBeNull();
    expect(traceIdOf(childTraceparent())).toMatch(/^[0-9a-f]{32}$/);
  });
});
