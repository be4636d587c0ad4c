import type { StoredEvent } from '@tenantry/contracts/events';
import { describe, expect, it } from 'vitest';
import { provisioning } from './provisioning.process.js';

describe('the provisioning of a tenant', () => {
  it('goes on in the trace of the request that asked for it', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const event = { data: { operationId: 'op-1' }, metadata: { traceparent } } as StoredEvent;
    expect(provisioning.on.TenantRegistered?.(event as never)).toMatchObject({ payload: { operationId: 'op-1', traceparent } });
  });
});
