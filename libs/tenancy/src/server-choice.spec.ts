import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { choosePlace, type DatabaseRoom, hasRoom, type ServerRoom } from './server-choice.js';

const database = (name: string, about: Partial<DatabaseRoom> = {}): DatabaseRoom => ({
  ...{ name, capacity: null, tenants: 0, accepts: ['shared', 'dedicated'], hasShared: true },
  ...about,
});
const server = (name: string, about: Partial<ServerRoom> = {}): ServerRoom => ({
  ...{ name, region: null, capacity: null, tenants: 0, databases: name === 'default' ? [database('tenantry')] : [] },
  ...about,
});
const chooseServer = (servers: ServerRoom[], wish: Parameters<typeof choosePlace>[1]) => choosePlace(servers, wish)?.server ?? null;
const dedicatedIn = (region: string) => ({ region, isolation: 'dedicated' as const });
const isolatedIn = (region: string) => ({ region, isolation: 'isolated' as const });

describe('A new tenant', () => {
  it('goes to a server of its region, also where another is emptier', () => {
    const servers = [server('default'), server('eu', { region: 'eu', capacity: 10, tenants: 9 })];
    expect(chooseServer(servers, isolatedIn('eu'))).toBe('eu');
    expect(chooseServer(servers, isolatedIn('us'))).toBe('default');
  });

  it('goes to no server outside its region where the region has one: it is refused', () => {
    const full = server('eu', { region: 'eu', capacity: 1, tenants: 1 });
    expect(chooseServer([server('default'), full], isolatedIn('eu'))).toBeNull();
    expect(chooseServer([server('default', { region: 'us' }), full], isolatedIn('asia'))).toBeNull();
  });

  it('goes to a server for all regions where no region was asked for, and anywhere where there is no such server', () => {
    const eu = server('eu', { region: 'eu', capacity: 4, tenants: 0 });
    expect(chooseServer([server('default', { capacity: 10, tenants: 6 }), eu], isolatedIn('default'))).toBe('default');
    expect(chooseServer([server('default', { capacity: 10, tenants: 6, region: 'us' }), eu], isolatedIn('default'))).toBe('eu');
  });

  it('goes to the one that is least full for its size; one without a limit is as large as the largest of the others', () => {
    const second = server('second', { capacity: 10, tenants: 5 });
    expect(chooseServer([server('default', { capacity: 4, tenants: 1 }), second], isolatedIn('eu'))).toBe('default');
    expect(chooseServer([server('default', { tenants: 6 }), second], isolatedIn('eu'))).toBe('second');
    expect(chooseServer([server('default', { tenants: 4 }), second], isolatedIn('eu'))).toBe('default');
  });

  it('that shares a database goes to the only server that has one', () => {
    const servers = [server('default', { capacity: 2, tenants: 1 }), server('eu', { region: 'eu' })];
    expect(chooseServer(servers, { region: 'default', isolation: 'shared' })).toBe('default');
    expect(
      chooseServer([server('default', { capacity: 1, tenants: 1 }), servers[1]!], { region: 'default', isolation: 'dedicated' }),
    ).toBeNull();
  });

  it('that shares a database goes to the least full one of its region that takes its level, on a server that has room', () => {
    const second = database('second', { accepts: ['dedicated'], capacity: 10, tenants: 1 });
    const main = database('tenantry', { capacity: 10, tenants: 4 });
    const one = (...databases: DatabaseRoom[]) => [server('default', { databases })];
    expect(choosePlace(one(main, second), dedicatedIn('default'))).toEqual({ server: 'default', database: 'second' });
    expect(choosePlace(one(main, second), { region: 'default', isolation: 'shared' })).toEqual({ server: 'default', database: 'tenantry' });
    expect(choosePlace(one(main, { ...second, accepts: [] }), dedicatedIn('eu'))).toEqual({ server: 'default', database: 'tenantry' });
    expect(choosePlace(one({ ...main, tenants: 10 }, { ...second, tenants: 10 }), dedicatedIn('default'))).toBeNull();
    const abroad = server('eu', { region: 'eu', databases: [{ ...second, tenants: 9 }] });
    expect(choosePlace([...one(main), abroad], dedicatedIn('eu'))).toEqual({ server: 'eu', database: 'second' });
    expect(choosePlace([...one(main), { ...abroad, capacity: 9, tenants: 9 }], dedicatedIn('eu'))).toBeNull();
    expect(choosePlace([...one(main), abroad], { region: 'eu', isolation: 'isolated' })).toEqual({ server: 'eu', database: null });
  });

  it('never goes where there is no room, whatever the servers are', () => {
    const any = fc.record({
      region: fc.constantFrom('eu', 'us', null),
      capacity: fc.option(fc.nat(5)),
      tenants: fc.nat(6),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 6 }), fc.constantFrom('eu', 'us', 'default'), (given, region) => {
        const servers = given.map((about, index) => server(index === 0 ? 'default' : `s${index}`, about));
        const chosen = servers.find(({ name }) => name === chooseServer(servers, isolatedIn(region)));
        if (chosen) return hasRoom(chosen) && (region === 'default' || chosen.region === region || chosen.region === null);
        const own = servers.filter((one) => one.region === region);
        const others = servers.filter((one) => one.region === null);
        return (own.length > 0 ? own : others).every((one) => !hasRoom(one));
      }),
    );
  });
});
