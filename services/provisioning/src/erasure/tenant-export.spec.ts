import { newId } from '@tenantry/contracts/ids';
import { expect, it } from 'vitest';
import { exportFolder, TenantExport } from './tenant-export.js';

it('removes the files of one export, a few at a time', async () => {
  const [tenantId, other] = [newId(), newId()];
  const files = new Set([tenantId, other].flatMap((id) => Array.from({ length: 100 }, (_, n) => `${exportFolder(id, 'op-1')}/${n}.enc`)));
  let atOnce = 0;
  let most = 0;
  const storage = {
    async *list() {
      for (const key of files) yield { key, bytes: 1 };
    },
    delete: async (_owner: string, key: string) => {
      most = Math.max(most, ++atOnce);
      await Promise.resolve();
      files.delete(key);
      atOnce--;
    },
  };
  await new TenantExport({} as never, {} as never, {} as never, storage as never, {} as never).remove(tenantId, 'op-1');
  expect([...files].filter((key) => key.includes(tenantId))).toEqual([]);
  expect(files.size).toBe(100);
  expect(most).toBe(20);
});
