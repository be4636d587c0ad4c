import type { DomainError } from '@tenantry/contracts/errors';
import { tenantKey } from '@tenantry/contracts/ids';
import type { DatabaseRoom, ServerRoom } from '@tenantry/tenancy/server-choice';
import { describe, expect, it } from 'vitest';
import { refuseUnknownPlace, wantedPlace } from './wanted.js';

const tenantId = '0190a0c1-7b1e-7cde-8f00-00000000000a';
const own = `tenantry_t_${tenantKey(tenantId)}`;
const database = (name: string, about: Partial<DatabaseRoom> = {}): DatabaseRoom => ({
  ...{ name, capacity: null, tenants: 0, accepts: ['dedicated'], hasShared: false },
  ...about,
});
const server = (name: string, ...databases: DatabaseRoom[]): ServerRoom => ({ name, region: null, capacity: null, tenants: 0, databases });
const servers = [server('default', database('tenantry', { accepts: ['shared', 'dedicated'], hasShared: true })), server('eu-1')];
const wanted = (body: Parameters<typeof wantedPlace>[0], livesOn = 'default', there = servers) =>
  wantedPlace(body, tenantId, { servers: there, lives: { server: livesOn, database: own } });
const fieldOf = (work: () => unknown): string | undefined => {
  try {
    work();
  } catch (error) {
    return (error as DomainError).errors[0]?.field;
  }
  return undefined;
};

describe('Where a tenant may be asked to live', () => {
  it('takes the places that there are', () => {
    expect(wanted({ isolation: 'shared', server: 'default', database: 'tenantry' })).toMatchObject({ schema: 'shared' });
    expect(wanted({ isolation: 'isolated', database: own })).toMatchObject({ server: 'default', database: own });
  });

  it('refuses a server or a database that cannot be had, by its field', () => {
    expect(fieldOf(() => wanted({ isolation: 'isolated', server: 'elsewhere' }))).toBe('server');
    expect(fieldOf(() => wanted({ isolation: 'dedicated', database: 'other' }))).toBe('database');
    expect(fieldOf(() => wanted({ isolation: 'isolated', database: 'tenantry' }))).toBe('database');
  });

  it('keeps a database of its own on the server where the tenant lives, and brings all else to the control plane’s', () => {
    expect(wanted({ isolation: 'isolated', server: 'eu-1' }).server).toBe('eu-1');
    expect(wanted({ isolation: 'isolated' }, 'eu-1').server).toBe('eu-1');
    expect(wanted({ isolation: 'dedicated' }, 'eu-1').server).toBe('default');
    expect(fieldOf(() => wanted({ isolation: 'dedicated', server: 'eu-1' }))).toBe('server');
  });

  it('takes a further database by its name, or the least full one that takes the level; in the one it lives in it stays', () => {
    const [main] = servers as [ServerRoom];
    const both = [server('default', ...main.databases, database('second', { tenants: 3 })), server('eu-1', database('abroad'))];
    const at = ({ server: on, database: inside }: ReturnType<typeof wantedPlace>) => `${on}/${inside}`;
    expect(at(wanted({ isolation: 'dedicated', database: 'second' }, 'eu-1', both))).toBe('default/second');
    expect(at(wanted({ isolation: 'dedicated' }, 'default', both))).toBe('default/tenantry');
    expect(at(wanted({ isolation: 'dedicated' }, 'eu-1', both))).toBe('eu-1/abroad');
    expect(at(wanted({ isolation: 'dedicated', server: 'eu-1' }, 'default', both))).toBe('eu-1/abroad');
    expect(at(wanted({ isolation: 'shared' }, 'eu-1', both))).toBe('default/tenantry');
    const stays = wantedPlace({ isolation: 'dedicated' }, tenantId, { servers: both, lives: { server: 'default', database: 'second' } });
    expect(at(stays)).toBe('default/second');
    expect(fieldOf(() => wanted({ isolation: 'shared', database: 'second' }, 'default', both))).toBe('database');
    expect(fieldOf(() => wanted({ isolation: 'dedicated', server: 'eu-1', database: 'second' }, 'default', both))).toBe('database');
    const twice = [...both, server('eu-2', database('abroad'))];
    expect(fieldOf(() => wanted({ isolation: 'dedicated', database: 'abroad' }, 'default', twice))).toBe('server');
    expect(at(wanted({ isolation: 'dedicated', server: 'eu-2', database: 'abroad' }, 'default', twice))).toBe('eu-2/abroad');
  });

  it('brings shared tenants to databases with shared tables, and to no others', () => {
    const [main] = servers as [ServerRoom];
    const second = database('second', { tenants: 3, accepts: ['shared'], hasShared: true });
    const closed = database('abroad', { accepts: [], hasShared: true });
    const both = [server('default', ...main.databases, second), server('eu-1', closed, database('dedicated_only'))];
    const place = (body: Parameters<typeof wantedPlace>[0], lives: { server: string; database: string }) =>
      wantedPlace(body, tenantId, { servers: both, lives });
    const home = { server: 'default', database: 'tenantry' };
    expect(place({ isolation: 'shared', database: 'second' }, home)).toMatchObject({
      ...{ server: 'default', database: 'second', schema: 'shared', appSchema: 'app_shared', role: 'tenantry_shared_second' },
    });
    expect(place({ isolation: 'shared' }, { server: 'default', database: 'second' }).database).toBe('second');
    expect(place({ isolation: 'shared' }, home)).toMatchObject({ database: 'tenantry', role: 'tenantry_shared' });
    expect(place({ isolation: 'shared' }, { server: 'eu-1', database: 'dedicated_only' })).toMatchObject({
      server: 'eu-1',
      database: 'abroad',
    });
    expect(fieldOf(() => place({ isolation: 'shared', database: 'dedicated_only' }, home))).toBe('database');
  });

  it('refuses one database for many isolated tenants', () => {
    expect(fieldOf(() => refuseUnknownPlace({ isolation: 'isolated', database: own }, null, servers, 'params.'))).toBe('params.database');
    expect(fieldOf(() => refuseUnknownPlace({ isolation: 'shared', database: 'tenantry' }, null, servers, 'params.'))).toBeUndefined();
  });
});
