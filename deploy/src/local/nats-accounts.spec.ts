import { mkdir, readFile } from 'node:fs/promises';
import { decode, parseCreds, type User } from '@nats-io/jwt';
import { type TemporaryFolder, temporaryFolder } from '@tenantry/testing/tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dataFolder } from './files.js';
import { prepareNatsAccounts } from './nats-accounts.js';
import { processPermissions, readerPermissions } from './nats-permissions.js';

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
  await mkdir(dataFolder(folder.path).nats);
});
afterEach(() => folder.remove());

const user = async (file: string) => {
  const { jwt } = await parseCreds(await readFile(file));
  return decode<User>(jwt);
};

describe('users of the broker', () => {
  it('may call only in their own name and hear only what is theirs', () => {
    const { pub, sub } = processPermissions('billing');
    expect(pub?.allow).toEqual(['rpc.*.billing.>', 'tenantry.nudge']);
    expect(sub?.allow).toEqual(['rpc.billing.*.>', '_INBOX_billing.>', 'tenantry.events.>']);
  });

  it('may not write events, except the relay', () => {
    expect(processPermissions('relay').pub?.allow).toContain('tenantry.events.>');
    expect(processPermissions('provisioning').pub?.allow).not.toContain('tenantry.events.>');
    expect(readerPermissions.pub?.allow?.filter((subject) => !subject.startsWith('$JS.'))).toEqual([]);
  });

  it('keep their keys from one start to the next', async () => {
    const first = await prepareNatsAccounts(dataFolder(folder.path));
    const before = await user(first.creds.get('gateway')!);
    const second = await prepareNatsAccounts(dataFolder(folder.path));
    const after = await user(second.creds.get('gateway')!);
    expect(after.sub).toBe(before.sub);
    expect(after.iss).toBe(first.platformAccount);
    expect(second.platformAccount).toBe(first.platformAccount);
  });
});
