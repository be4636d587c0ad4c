import { describe, expect, it } from 'vitest';
import { forConsole, lineSplitter } from './log-lines.js';

describe('lines of a log', () => {
  it('are put together from pieces', () => {
    const lines: string[] = [];
    const feed = lineSplitter((line) => lines.push(line));
    const bytes = Buffer.from('grün\nzwei\nunfinished');
    feed(bytes.subarray(0, 3)); // in the middle of ü
    feed(bytes.subarray(3));
    expect(lines).toEqual(['grün', 'zwei']);
  });

  it('reach the console from warnings on', () => {
    expect(forConsole('{"level":30,"msg":"ready"}', 'stdout')).toBeUndefined();
    expect(forConsole('{"level":"info","msg":"ready"}', 'stdout')).toBeUndefined();
    expect(forConsole('{"level":"warn","msg":"slow"}', 'stdout')).toBe('warning: slow');
    expect(forConsole('{"level":40,"msg":"slow"}', 'stdout')).toBe('warning: slow');
    expect(forConsole('{"level":50,"msg":"failed","err":{"message":"no route"}}', 'stdout')).toBe('error: failed: no route');
  });

  it('that are no JSON reach it from stderr only', () => {
    expect(forConsole('hello', 'stdout')).toBeUndefined();
    expect(forConsole('TypeError: x', 'stderr')).toBe('TypeError: x');
    expect(forConsole('{ not json', 'stderr')).toBe('{ not json');
  });
});
