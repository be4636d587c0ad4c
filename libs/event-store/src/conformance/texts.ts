import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { isIntact } from '../hash.js';
import { MAX_NAME_LENGTH } from '../limits.js';
import { command, type OpenStore, upTo, wholeLog } from './given.js';

const hostile = [
  `'; DROP TABLE log.events; --`,
  '"quoted" and \\backslashed\\ and \\u0041',
  '$1 $$ %s {} $(x) %n',
  '\u202eright to left\u202c \u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u{10ffff}',
  'e\u0301 is not \u00e9',
  '\u2028\u2029\ufeff\u0001\u001f\u007f\u0085',
  'line\r\nline\ttab',
  '\\x00 \\0 \\u0000',
  'null',
  '',
];

/** What people type in comes back as it was. */
export function texts(open: OpenStore): void {
  describe('what is written', () => {
    it('comes back to the character, as value and as key', async () => {
      const store = await open();
      const tenantId = newId();
      const data = { values: hostile, keys: Object.fromEntries(hostile.map((text, n) => [text, n])) };
      await store.append(command(tenantId, { events: [{ data }] }));
      const [read] = await wholeLog(store, tenantId);
      expect(read?.data).toEqual(data);
      expect(read && isIntact(read)).toBe(true);
    });

    it('may have keys that mean something to JavaScript', async () => {
      const store = await open();
      const tenantId = newId();
      const data = JSON.parse('{"__proto__": {"admin": true}, "constructor": 1, "toString": null, "hasOwnProperty": []}');
      await store.append(command(tenantId, { events: [{ data }] }));
      const [read] = await wholeLog(store, tenantId);
      expect(JSON.stringify(Object.entries(read?.data as object).sort())).toBe(JSON.stringify(Object.entries(data).sort()));
      expect(read?.data).not.toHaveProperty('admin');
      expect(read && isIntact(read)).toBe(true);
    });

    it('may be nested a hundred times', async () => {
      const store = await open();
      const tenantId = newId();
      let data: unknown = 'core';
      for (let n = 0; n < 100; n++) data = n % 2 ? [data] : { of: data };
      await store.append(command(tenantId, { events: [{ data }] }));
      expect((await wholeLog(store, tenantId))[0]?.data).toEqual(data);
    });

    it('has numbers that are the same to the last bit', async () => {
      const store = await open();
      const tenantId = newId();
      const numbers = [0, 1, -1, 0.1, 1 / 3, 2 ** 53, -(2 ** 53) + 1, 1e21, 1.5e300, Number.MAX_VALUE, Number.MIN_VALUE, 5e-324];
      await store.append(command(tenantId, { events: [{ data: { numbers } }] }));
      const [read] = await wholeLog(store, tenantId);
      expect(read?.data).toEqual({ numbers });
      expect(read && isIntact(read)).toBe(true);
    });

    it('may be any JSON value, not only an object', async () => {
      const store = await open();
      const tenantId = newId();
      const values = [null, true, 'text', 7, [], {}, [null]];
      await store.append(command(tenantId, { events: values.map((data) => ({ data })) }));
      expect((await wholeLog(store, tenantId)).map(({ data }) => data)).toEqual(values);
    });
  });

  describe('names of streams', () => {
    it('may be any text, and are told apart to the character', async () => {
      const store = await open();
      const tenantId = newId();
      const names = [
        'a',
        'A',
        'a ',
        ' a',
        'a%',
        'a_',
        'a/b',
        'e\u0301',
        '\u00e9',
        `it's "x"`,
        '$all',
        '__proto__',
        'x'.repeat(MAX_NAME_LENGTH),
      ];
      await Promise.all(names.map((stream, n) => store.append(command(tenantId, { stream, events: upTo((n % 3) + 1).map(() => ({})) }))));
      for (const [n, stream] of names.entries()) {
        const { events } = await store.readStream(tenantId, stream);
        expect(events.map((event) => [event.stream, event.streamVersion])).toEqual(upTo((n % 3) + 1).map((version) => [stream, version]));
      }
    });

    it('are told apart by tenant', async () => {
      const store = await open();
      const [one, two] = [newId(), newId()];
      await store.append(command(one, { events: [{ data: { of: 'one' } }] }));
      await store.append(command(two, { events: [{ data: { of: 'two' } }] }));
      expect((await store.readStream(one, 'thing')).events.map(({ tenantId, data }) => [tenantId, data])).toEqual([[one, { of: 'one' }]]);
      expect((await store.readStream(two, 'thing')).events.map(({ tenantId, data }) => [tenantId, data])).toEqual([[two, { of: 'two' }]]);
    });
  });
}
