import { describe, expect, it } from 'vitest';
import { type FoundServer, type SaidOfServer, sayServer, serverSaid } from './server.js';

const eu: FoundServer = {
  server: { name: 'eu-1', region: 'eu', capacity: null, host: 'db.eu.example', port: 5432 },
  databases: [{ server: 'eu-1', name: 'tenants_2', capacity: 10, accepts: ['dedicated'] }],
};
const main = (about: Partial<FoundServer['databases'][number]> = {}): FoundServer => ({
  server: { name: 'default', region: null, capacity: null },
  databases: [{ ...{ server: 'default', name: 'tenantry', capacity: null, accepts: ['dedicated', 'shared'] }, ...about }],
});
const after = (...found: FoundServer[]): SaidOfServer =>
  found.reduce<SaidOfServer>(
    (state, one) => sayServer(one)(state).reduce((on, event) => serverSaid.evolve(on, event as never), state),
    serverSaid.initial,
  );
const types = (found: FoundServer, state: SaidOfServer) => sayServer(found)(state).map(({ type }) => type);

describe('The log of servers', () => {
  it('says each server and database once, and then what changes', () => {
    expect(types(eu, serverSaid.initial)).toEqual(['ServerRegistered', 'DatabaseRegistered']);
    expect(sayServer(eu)(after(eu))).toEqual([]);
    const closed = { ...eu, databases: [{ ...eu.databases[0]!, accepts: [] }] };
    expect(types(closed, after(eu))).toEqual(['DatabaseChanged']);
    expect(types(eu, after(eu, closed))).toEqual(['DatabaseChanged']);
    expect(types({ ...eu, server: { ...eu.server, capacity: 0 } }, after(eu))).toEqual(['ServerChanged']);
  });

  it('does not say what the control plane begins with', () => {
    expect(sayServer(main())(serverSaid.initial)).toEqual([]);
    expect(types(main({ accepts: ['shared'] }), serverSaid.initial)).toEqual(['DatabaseChanged']);
    expect(types(main(), after(main({ accepts: ['shared'] })))).toEqual(['DatabaseChanged']);
  });
});
