import { eventTypes } from '@tenantry/contracts/catalogue';
import { personal } from '@tenantry/contracts/events';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { personalFields } from './personal-fields.js';

const encrypt = (clear: unknown) => ({ enc: `(${JSON.stringify(clear)})` });
const mark = personal(z.string());

describe('personal fields', () => {
  it('are found in objects, optional fields, arrays, records, tuples and unions', () => {
    const schema = z.object({
      plain: z.string(),
      mail: mark.optional(),
      phone: mark.nullable(),
      list: z.array(z.object({ key: z.string(), value: mark })).optional(),
      all: z.array(mark),
      byName: z.record(z.string(), z.object({ value: mark })),
      pair: z.tuple([z.string(), mark]),
      either: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('a'), a: mark }),
        z.object({ kind: z.literal('b'), b: z.string() }),
      ]),
      number: personal(z.number()),
    });
    const fields = personalFields(schema);
    expect(
      fields?.(
        {
          plain: 'p',
          mail: 'm',
          phone: null,
          list: [{ key: 'k', value: 'v' }],
          all: ['x', { enc: 'already' }],
          byName: { n: { value: 'w' } },
          pair: ['1', '2'],
          either: { kind: 'a', a: 'secret' },
          number: 7,
        },
        encrypt,
      ),
    ).toEqual({
      plain: 'p',
      mail: { enc: '("m")' },
      phone: null,
      list: [{ key: 'k', value: { enc: '("v")' } }],
      all: [{ enc: '("x")' }, { enc: 'already' }],
      byName: { n: { value: { enc: '("w")' } } },
      pair: ['1', { enc: '("2")' }],
      either: { kind: 'a', a: { enc: '("secret")' } },
      number: { enc: '(7)' },
    });
    expect(fields?.({ plain: 'p', all: [], byName: {}, pair: ['1', '2'], either: { kind: 'b', b: 'b' } }, encrypt)).not.toHaveProperty(
      'mail',
    );
  });

  it('leave the original as it was', () => {
    const data = { mail: 'm', deep: [{ mail: 'n' }] };
    personalFields(z.object({ mail: mark, deep: z.array(z.object({ mail: mark })) }))?.(data, encrypt);
    expect(data).toEqual({ mail: 'm', deep: [{ mail: 'n' }] });
  });

  it('are nowhere in a schema without marks', () => {
    expect(personalFields(z.object({ a: z.string(), b: z.array(z.json()) }))).toBeNull();
  });

  it('have a data subject in every event that exists', () => {
    for (const [type, { data, subject }] of eventTypes) {
      if (personalFields(data)) expect(subject, type).toBeDefined();
    }
  });
});
