import type { DomainError } from '@tenantry/contracts/errors';
import { tenantKey } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { refuseUnknownPlace, wantedPlace } from './wanted.js';

const tenantId = '0190a0c1-7b1e-7cde-8f00-00000000000a';
const own = `tenantry_t_${tenantKey(tenantId)}`;
const servers = new Set(['default', 'eu-1']);
const wanted = (body: Parameters<typeof wantedPlace>[0], livesOn = 'default') => wantedPlace(body, tenantId, { servers, livesOn });
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

  it('refuses one database for many isolated tenants', () => {
    expect(fieldOf(() => refuseUnknownPlace({ isolation: 'isolated', database: own }, null, servers, 'params.'))).toBe('params.database');
    expect(fieldOf(() => refuseUnknownPlace({ isolation: 'shared', database: 'tenantry' }, null, servers, 'params.'))).toBeUndefined();
  });
});
