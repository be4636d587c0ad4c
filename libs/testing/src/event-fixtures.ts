import { billingFixtures } from './event-fixtures/billing.js';
import { configFixtures } from './event-fixtures/config.js';
import { domainFixtures } from './event-fixtures/domain.js';
import type { EventFixture } from './event-fixtures/event-fixture.js';
import { identityFixtures } from './event-fixtures/identity.js';
import { placementFixtures } from './event-fixtures/placement.js';
import { platformFixtures } from './event-fixtures/platform.js';
import { quotaFixtures } from './event-fixtures/quota.js';
import { tenantFixtures } from './event-fixtures/tenant.js';

/** One for every version of every event type that was ever written. What is here is never changed: a new version is added. */
export const eventFixtures: readonly EventFixture[] = [
  ...tenantFixtures,
  ...configFixtures,
  ...placementFixtures,
  ...quotaFixtures,
  ...billingFixtures,
  ...domainFixtures,
  ...identityFixtures,
  ...platformFixtures,
];
