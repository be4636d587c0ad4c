import { newId } from '@tenantry/contracts/ids';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { silentLogger } from '@tenantry/observability/logger';
import { describe, expect, it, vi } from 'vitest';
import { Idempotency } from './keyed-requests.js';
import { MemoryFirstRequests } from './memory-first-requests.js';
import type { Outcome } from './verdict.js';

const tenantId = '11111111-1111-4111-8111-111111111111';
const outcome = (more: Partial<Outcome> = {}): Outcome => ({
  rendered: { status: 202, headers: { 'tenantry-position': `${tenantId}:0` }, body: '{"adminEmail":"ada@acme.example"}' },
  ...more,
});
/** Two gateways over one table. */
function given() {
  const firsts = new MemoryFirstRequests();
  const keyring = new MemoryKeyring();
  const gateway = () => new Idempotency(firsts, keyring, silentLogger);
  return { firsts, keyring, here: gateway(), there: gateway(), request: { commandId: newId(), requestHash: 'h' } };
}

describe('a keyed request', () => {
  it('that another gateway is working on waits for its answer', async () => {
    const { here, there, request } = given();
    const first = here.run(request, async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return outcome();
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const work = vi.fn();
    expect(await there.run(request, work)).toEqual({ ...outcome().rendered, replayed: true });
    expect(await first).toMatchObject({ replayed: false });
    expect(work).not.toHaveBeenCalled();
  });
  it('whose gateway is gone is taken over', async () => {
    const { firsts, there, request } = given();
    await firsts.claim({ ...request, holder: newId(), leaseMs: 60 });
    expect(await there.run(request, async () => outcome())).toMatchObject({ status: 202, replayed: false });
  });
  it('about a tenant is kept sealed with its key, and is gone with it', async () => {
    const { firsts, keyring, here, there, request } = given();
    await here.run(request, async () => outcome({ tenantId }));
    const kept = await firsts.claim({ ...request, holder: newId(), leaseMs: 1 });
    expect(kept?.answer?.body).not.toContain('ada@acme.example');
    expect(await there.run(request, vi.fn())).toMatchObject({ body: outcome().rendered.body, replayed: true });
    keyring.destroy(tenantId);
    await expect(there.run(request, vi.fn())).rejects.toMatchObject({ code: 'keys.destroyed' });
  });
});
