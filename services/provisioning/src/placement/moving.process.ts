import { processManager } from '@tenantry/messaging/projection';
import { runOperation } from '../operation/stepped.process.js';

/** A move that was asked for is carried out. */
export const moving = processManager({
  name: 'moving',
  on: {
    TenantMoveStarted: ({ data, metadata }) => runOperation('move', data.operationId, { ...data }, metadata),
  },
});
