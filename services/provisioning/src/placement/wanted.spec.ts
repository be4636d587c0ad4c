import { DomainError } from '@tenantry/contracts/errors';
import { tenantKey } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { refuseUnknownPlace, wantedPlace } from './wanted.js';

const tenantId = '0190a0c1-7b1e-7cde-8f00-00000000000a';
const own = `tenantry_t_${tenantKey(tenantId)}`;
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
    expect(wantedPlace({ isolation: 'shared', server: 'default', database: 'tenantry' }, tenantId)).toMatchObject({ schema: 'shared' });
    expect(wantedPlace({ isolation: 'isolated', database: own }, tenantId)).toMatchObject({ server: 'default', database: own });
  });

  it('refuses a server or a database that cannot be had, by its field', () => {
    expect(fieldOf(() => wantedPlace({ isolation: 'isolated', server: 'elsewhere' }, tenantId))).toBe('server');
    expect(fieldOf(() => wantedPlace({ isolation: 'dedicated', database: 'other' }, tenantId))).toBe('database');
    expect(fieldOf(() => wantedPlace({ isolation: 'isolated', database: 'tenantry' }, tenantId))).toBe('database');
  });

  it('refuses one database for many isolated tenants', () => {
    expect(fieldOf(() => refuseUnknownPlace({ isolation: 'isolated', database: own }, null, 'params.'))).toBe('params.database');
    expect(fieldOf(() => refuseUnknownPlace({ isolation: 'shared', database: 'tenantry' }, null, 'params.'))).toBeUndefined();
  });
});
