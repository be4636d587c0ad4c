import { at, type EventFixture } from './event-fixture.js';

const domain = { domainId: 'd-1', host: 'acme.example', unicodeHost: 'acme.example', primary: true, ssl: true };

export const domainFixtures: readonly EventFixture[] = [
  { type: 'DomainClaimed', version: 1, data: { ...domain, claimedAt: at } },
  {
    type: 'CustomDomainRegistered',
    version: 1,
    data: { ...domain, records: [{ purpose: 'ownership', type: 'TXT', name: '_tenantry.acme.example', value: 'x' }], registeredAt: at },
  },
  { type: 'DomainReleased', version: 1, data: { domainId: 'd-1', host: 'acme.example', releasedAt: at } },
  { type: 'DomainClaimAbandoned', version: 1, data: { domainId: 'd-1', host: 'acme.example', abandonedAt: at } },
];
