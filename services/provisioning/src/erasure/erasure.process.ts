import { processManager } from '@tenantry/messaging/projection';
import { runOperation } from '../operation/stepped.process.js';

/** A deletion whose grace is over. */
export const erasing = processManager({
  name: 'erasing',
  on: { TenantErasureStarted: ({ data, metadata }) => runOperation('erasure', data.operationId, {}, metadata) },
});
