import { newId, tenantKey } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import type { Projection } from './projection.js';
import { everything, namesOf, scheduler, serviceWithRunners } from './runner.fixture.js';
import type { Runner } from './runner.js';
import { ReadPosition } from './wait.js';

const { on, store, runner, append, notesOf, freeze } = serviceWithRunners();

describe('waiting for a position', () => {
  const position = (running: Runner | undefined, projections: Projection[]) =>
    new ReadPosition({ service: 'svc', storage: on.storage, store, scheduler, projections, processes: [], runner: running });

  it('hurries the runner, and is over when the rows are there', async () => {
    const id = newId();
    await on.tenants.place(id);
    const running = await runner({ projections: [everything] });
    const at = await append(id, 'TenantRegistered', { name: 'x' });
    expect(await position(running, [everything]).waitFor('tenant', id, at)).toBe(true);
    expect(await notesOf(id)).toHaveLength(1);
  });

  it('does not wait for events that the rows have nothing to do with', async () => {
    const id = newId();
    const at = await append(id, 'TenantActivated', {});
    expect(await position(undefined, [namesOf()]).waitFor('service', id, at)).toBe(true);
  });

  it("gives up in time where the tenant's database keeps silent", async () => {
    const id = newId();
    await on.tenants.place(id);
    const at = await append(id, 'TenantRegistered', { name: 'x' });
    const thaw = await freeze(`LOCK TABLE t_${tenantKey(id)}.checkpoints`);
    const begun = performance.now();
    expect(await position(undefined, [everything]).waitFor('tenant', id, at, 200)).toBe(false);
    expect(performance.now() - begun).toBeLessThan(1_000);
    await thaw();
  });

  it('gives up in time where nobody applies the events', async () => {
    const id = newId();
    const at = await append(id, 'TenantRegistered', { name: 'x' });
    expect(await position(undefined, [namesOf()]).waitFor('service', id, at, 150)).toBe(false);
  });
});
