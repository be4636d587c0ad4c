import { bulkPermissions } from '@tenantry/contracts/platform/bulk';
import type { CommandContext } from '@tenantry/contracts/route';
import { describe, expect, it } from 'vitest';
import { type OperationKind, OperationKinds } from './operation-kinds.js';
import { operationPermissions } from './operation-permissions.js';
import { Operations } from './operations.js';

const ID = '11111111-1111-4111-8111-111111111111';
const kind = (type?: string, startedWith: unknown = null) =>
  ({
    ...{ view: async () => ({}), startedWith: async () => startedWith },
    ...(type && { typeOf: async () => type }),
  }) as unknown as OperationKind;

/** @param indexed as what it is registered; `type` the work that it is, `startedWith` its parameters */
async function steer(type: string, permissions: string[], indexed = type, startedWith: unknown = null): Promise<string> {
  const kinds = new OperationKinds();
  kinds.add(indexed, kind(indexed === type ? undefined : type, startedWith));
  const operations = new Operations({ find: async () => ({ tenantId: ID, type: indexed }) } as never, kinds);
  const command = { id: 'c-1', principal: { kind: 'staff', id: 'k-1', permissions } } as unknown as CommandContext;
  return (await operations.steered(ID, command)).at.type;
}
const refusal = (permission: string) => ({ code: 'auth.forbidden', extensions: { permission } });
const isJob = (type: string) => !['provisioning', 'deletion', 'erasure', 'move', 'rebuild'].includes(type);

describe('what it takes to steer an operation', () => {
  it('is what it takes to start it', () => {
    expect(operationPermissions).toMatchObject({
      ...{ provisioning: ['tenant:create'], deletion: ['tenant:delete'], erasure: ['tenant:delete'], move: ['tenant:move'] },
      ...{ 'blueprint-campaign': ['blueprint:rollout'], 'isolation-check': ['isolation:check'], rebuild: ['consumer:update'] },
    });
    for (const [action, permission] of Object.entries(bulkPermissions))
      expect(operationPermissions[`bulk.${action}`]).toEqual(['tenant:bulk', permission]);
  });

  const types = Object.entries(operationPermissions).filter(([, needed]) => needed.length > 0);
  it.each(types)('of the type %s: without %j it is refused, with them it is not', async (type, needed) => {
    const indexed = isJob(type) ? 'job' : type;
    const held = ['operation:update', ...needed];
    expect(await steer(type, held, indexed)).toBe(indexed);
    for (const permission of needed)
      await expect(
        steer(
          type,
          held.filter((one) => one !== permission),
          indexed,
        ),
      ).rejects.toMatchObject(refusal(permission));
  });

  it('that brings flags with settings is what bringing flags takes too', async () => {
    const held = ['operation:update', 'tenant:bulk', 'settings:update'];
    const [plain, flags] = [{ settings: { motto: 'x' } }, { settings: { motto: 'x' }, features: { beta: true } }];
    expect(await steer('bulk.settings', held, 'job', plain)).toBe('job');
    await expect(steer('bulk.settings', held, 'job', flags)).rejects.toMatchObject(refusal('feature:update'));
    expect(await steer('bulk.settings', [...held, 'feature:update'], 'job', flags)).toBe('job');
    expect(await steer('bulk.tags', ['operation:update', 'tenant:bulk', 'tenant:update'], 'job', flags)).toBe('job');
  });

  it('that no command starts is what steering operations takes', async () =>
    expect(await steer('schema-upgrade', ['operation:update'], 'job')).toBe('job'));

  it('of a type that there is no more is everything', async () => {
    await expect(steer('bulk.dance', ['operation:update', 'tenant:*'], 'job')).rejects.toMatchObject(refusal('*'));
    expect(await steer('bulk.dance', ['*'], 'job')).toBe('job');
  });

  it('is said for every type before it can be', () => expect(() => new OperationKinds().add('dance', kind())).toThrow(/dance/));
});
