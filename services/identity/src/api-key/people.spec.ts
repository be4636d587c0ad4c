import type { Actor } from '@tenantry/contracts/events';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { platform } from '../testing/platform.js';
import { createForPlatform, platformKey } from './api-key.js';
import type { ApiKeyTable, KeyOfPerson } from './api-key-table.js';
import { People } from './people.js';

/** Keys in memory: the first one, and those that are made with one of those before. */
function keys() {
  const { log, keyring, clock } = platform();
  const rows = new Map<string, KeyOfPerson>();
  const table = {
    byId: async (id: string) => rows.get(id) ?? null,
    setPerson: async (id: string, person: string) => void rows.set(id, { keyId: id, tenantId: null, person }),
  } as unknown as ApiKeyTable;
  const people = new People(log, table, keyring);
  const add = async (keyId: string, actor: Actor, person: string, owner?: string) => {
    const data = { keyId, name: keyId, permissions: ['*'], owner, person: owner && person, createdAt: clock.now() };
    const command = { id: `make-${keyId}`, actor };
    await log.transact(platformKey, { tenant: PLATFORM_LOG, stream: `platform-key-${keyId}`, command }, createForPlatform(data));
    rows.set(keyId, { keyId, tenantId: null, person });
  };
  const row = (keyId: string) => rows.get(keyId) as KeyOfPerson;
  const forget = () => {
    for (const [id, known] of rows) rows.set(id, { ...known, person: null });
  };
  return { people, add, row, forget };
}

interface Making {
  /** Which of the keys there are by then makes it. */
  maker: number;
  owner: string | undefined;
}
/** Whose the keys are, as a person would say it. */
function expected(makings: readonly Making[]): string[] {
  const persons = ['first'];
  for (const [index, { maker, owner }] of makings.entries()) {
    const by = maker % (index + 1);
    const own = owner === undefined ? `key ${index}` : `owner ${owner.toLowerCase()}`;
    persons.push(by === 0 ? own : (persons[by] as string));
  }
  return persons;
}
/** The same parts, whatever they are called. */
const parts = (persons: readonly string[]) => persons.map((person) => persons.indexOf(person));

describe('people', () => {
  const makings = fc.array(fc.record({ maker: fc.nat(20), owner: fc.option(fc.constantFrom('ada', 'Ada', 'bob'), { nil: undefined }) }), {
    maxLength: 12,
  });
  it('are those whom the first key made keys for, whoever made which key with which', () =>
    fc.assert(
      fc.asyncProperty(makings, async (all) => {
        const { people, add, row, forget } = keys();
        await add('key-0', { kind: 'system', id: 'installation' }, 'key-0');
        for (const [index, { maker, owner }] of all.entries()) {
          const by = row(`key-${maker % (index + 1)}`);
          const principal = { kind: 'staff' as const, id: by.keyId, person: await people.of(by) };
          const named = by.keyId === 'key-0' ? owner : undefined;
          if (owner !== undefined && named === undefined)
            await expect(people.ofNew(`key-${index + 1}`, principal, owner)).rejects.toMatchObject({ code: 'auth.forbidden' });
          const person = await people.ofNew(`key-${index + 1}`, principal, named);
          await add(`key-${index + 1}`, { kind: 'staff', id: by.keyId }, person, named);
        }
        const now = () => Promise.all([...all, null].map((_, index) => people.of(row(`key-${index}`))));
        expect(parts(await now())).toEqual(parts(expected(all)));
        // As in rows from before there were people: the log says the same.
        forget();
        expect(parts(await now())).toEqual(parts(expected(all)));
      }),
      { numRuns: 100 },
    ));
});
