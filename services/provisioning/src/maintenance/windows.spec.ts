import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { expect, it } from 'vitest';
import { MaintenanceWindows } from './windows.js';

it('reads once whom a window names, and remembers that of a few windows', async () => {
  const read: string[] = [];
  const tenantId = newId();
  const load = async (_of: unknown, { stream }: { stream: string }) => {
    read.push(stream);
    return { state: { window: {}, tenantIds: [tenantId] } };
  };
  const windows = new MaintenanceWindows({ load } as never, new ManualClock());
  expect([await windows.names('w-0', tenantId), await windows.names('w-0', newId())]).toEqual([true, false]);
  expect(read).toHaveLength(1);
  for (let n = 1; n <= 31; n++) await windows.names(`w-${n}`, tenantId);
  await windows.names('w-0', tenantId);
  await windows.names('w-32', tenantId);
  expect(read).toHaveLength(33);
  await windows.names('w-0', tenantId);
  await windows.names('w-1', tenantId);
  expect(read.slice(33)).toEqual(['maintenance-w-1']);
});
