import type { EventFixture } from './event-fixture.js';

const lives = {
  ...{ isolation: 'dedicated', server: 'default', database: 'tenantry', schema: 't_1', appSchema: 'app_1', role: 't_1' },
  ...{ generation: 1, workerGroup: 'shared' },
};

export const placementFixtures: readonly EventFixture[] = [
  {
    type: 'TenantMoveStarted',
    version: 1,
    data: {
      operationId: 'op-3',
      from: lives,
      to: { ...lives, isolation: 'isolated', database: 'tenantry_t_1', generation: 2 },
      keepSourceMinutes: 5,
    },
  },
  { type: 'TenantMoveEnded', version: 1, data: { operationId: 'op-3', status: 'succeeded' } },
  {
    type: 'TenantPlaced',
    version: 1,
    data: {
      ...{ isolation: 'shared', server: 'default', database: 'tenantry', schema: 'shared', appSchema: 'app_shared' },
      ...{ role: 'tenantry_shared', generation: 1, workerGroup: 'shared' },
    },
  },
  { type: 'TenantUnplaced', version: 1, data: { generation: 1 } },
];
