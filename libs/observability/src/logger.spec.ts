import { describe, expect, it } from 'vitest';
import { runWith } from './context.js';
import { createLogger, type Logger } from './logger.js';
import { errorText } from './redact.js';

function lines(write: (logger: Logger) => void, level: 'info' | 'debug' = 'info'): Record<string, any>[] {
  const texts: string[] = [];
  write(createLogger({ service: 'billing', level, destination: { write: (text) => void texts.push(text) } }));
  return texts.map((text) => JSON.parse(text));
}

describe('a line', () => {
  it('is JSON with level, time, service, message and details', () => {
    const [line] = lines((logger) => logger.info({ count: 2 }, 'two things'));
    expect(line).toMatchObject({
      level: 'info',
      service: 'billing',
      msg: 'two things',
      count: 2,
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    });
  });
  it('carries trace and tenant of the work at hand, and its own word beats that', () => {
    const context = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tenantId: 'a' };
    const [first, second, third] = lines((logger) =>
      runWith(context, () => {
        logger.info('one');
        logger.info({ tenantId: 'b' }, 'other');
        logger.child({ tenantId: 'c', part: 'x' }).warn('child');
      }),
    );
    expect(first).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c', tenantId: 'a' });
    expect(second).toMatchObject({ tenantId: 'b' });
    expect(third).toMatchObject({ tenantId: 'c', part: 'x', level: 'warn' });
  });
  it('below the level is not written', () => {
    expect(lines((logger) => logger.debug('quiet'))).toEqual([]);
    expect(lines((logger) => logger.debug('heard'), 'debug')).toHaveLength(1);
  });
  it('shows an error with its causes', () => {
    const [line] = lines((logger) => logger.error({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed'));
    expect(line?.['err']).toMatchObject({ message: 'outer', stack: expect.any(String), cause: { message: 'inner' } });
  });
});

describe('a secret', () => {
  it.each([
    ['by its name', { authorization: 'Bearer abc', nested: { adminPassword: 'hunter2', key: 'abc', creds: 'abc', accessToken: 'abc' } }],
    ['in a list', { items: [{ token: 'abc' }] }],
    ['a key, wherever it stands', { text: 'used tnt_live_abcdefghijklmnopqrstuvwxyz0123456789' }],
    ['a password in an address', { err: new Error('cannot reach postgres://billing:hunter2@db/tenantry') }],
  ])('is not written: %s', (_what, details) => {
    const [line] = lines((logger) => logger.warn(details, 'seen'));
    expect(JSON.stringify(line)).not.toMatch(/abc|hunter2/);
    expect(JSON.stringify(line)).toContain('redacted');
  });
  it('in the values of a failed statement is not written', () => {
    const failed = (cause?: Error) =>
      Object.assign(new Error('Failed query: INSERT INTO t VALUES ($1, $2)\nparams: "abc" \\,\nhunter2', { cause }), { params: ['abc'] });
    const [line] = lines((logger) => logger.warn({ err: failed(failed()), text: failed().stack }, 'seen'));
    expect(JSON.stringify(line)).not.toMatch(/abc|hunter2/);
    expect(line?.['err']).toMatchObject({ message: expect.stringContaining('INSERT INTO t'), stack: expect.stringContaining(' at ') });
    expect(line).toMatchObject({ msg: 'seen', text: expect.stringContaining(' at ') });
    expect(errorText(failed())).not.toMatch(/abc|hunter2/);
    expect(errorText(failed())).toContain(' at ');
  });
  it.each([
    [
      'the row that breaks a rule',
      { code: '23505', detail: 'Key (email)=(hunter2) already exists.' },
      'duplicate key value violates "t_email"',
    ],
    [
      'the row that fails',
      { code: '23502', detail: 'Failing row contains (1, hunter2).', where: 'COPY t, line 1: "hunter2"' },
      'null value in "x"',
    ],
    [
      'the value that is no number',
      { code: '22P02', where: "unnamed portal parameter $1 = 'hunter2'" },
      'invalid input syntax for type integer: "hun"ter2"',
    ],
    ['the value of several lines', { code: '22007' }, 'invalid input syntax for type date: "one\nhunter2"'],
  ])('that Postgres quotes is not written: %s', (_what, fields, message) => {
    const failed = () => Object.assign(new Error(message), { severity: 'ERROR', table: 't', ...fields });
    for (const err of [failed(), new Error('Failed query: SELECT $1', { cause: failed() }), new AggregateError([failed()], 'two')]) {
      const text = JSON.stringify(lines((logger) => logger.warn({ err }, 'seen')));
      expect(text).not.toMatch(/hunter2|ter2/);
      expect(text).toContain(fields.code);
    }
    expect(errorText(failed())).not.toMatch(/hunter2|ter2/);
    expect(errorText(failed())).toMatch(/^Error: \w+[\s\S]* at /);
  });
  it('in an object is taken out of the line, not out of the object', () => {
    const details = { token: 'abc', other: { count: 1 } };
    lines((logger) => logger.info(details, 'seen'));
    expect(details.token).toBe('abc');
  });
});
