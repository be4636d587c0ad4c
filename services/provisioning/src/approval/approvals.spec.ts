import { describe, expect, it } from 'vitest';
import { given } from '../config/configuration.fixture.js';
import { MASKED } from '../config/setting-input.js';
import { tenant } from '../tenant/tenant.js';
import { reactivate, suspend } from '../tenant/transitions.js';

describe('an approval', () => {
  const byCategory = { categories: ['security' as const], approvers: 1, expiresHours: 1 };

  it('is waited for, and given by somebody else', async () => {
    const { demand, set, get, approve, approval, as, types } = await given();
    await demand(byCategory);
    const { status, body, location } = await set('session_timeout_minutes', 5);
    expect([status, body.approval.status, location]).toEqual([202, 'pending', `/api/v1/platform/approvals/${body.approval.id}`]);
    expect((await get('session_timeout_minutes')).body.value).toBe(1440);
    expect(await approval(body.approval.id)).toMatchObject({
      changes: [{ path: 'settings.session_timeout_minutes', from: 1440, to: 5 }],
      requestedBy: { id: 'ada' },
    });
    await expect(approve(body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'applied', approvedBy: [{ id: 'bob' }], reason: 'fine' });
    expect((await get('session_timeout_minutes')).body.value).toBe(5);
    await as('bob').approve(body.approval.id);
    await expect(as('eve').reject(body.approval.id)).rejects.toMatchObject({ code: 'approval.not_pending' });
    expect((await types()).filter((type) => type === 'SettingChanged')).toHaveLength(1);
  });

  it('of as many people as the strictest policy asks for', async () => {
    const { demand, set, as } = await given();
    await demand(byCategory, { keys: ['session_timeout_minutes'], approvers: 2, expiresHours: 10 });
    const { body } = await set('session_timeout_minutes', 5);
    expect(body.approval.expiresAt).toBe('2026-01-01T01:00:00.000Z');
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'pending' });
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'pending', approvedBy: [{ id: 'bob' }] });
    expect(await as('eve').approve(body.approval.id)).toMatchObject({ status: 'applied' });
  });

  it('is not given by the same person with another key, nor twice by one', async () => {
    const { demand, as, get } = await given();
    await demand({ ...byCategory, approvers: 2 });
    const { body } = await as('key-1', ['*'], 'ada').set('session_timeout_minutes', 5);
    await expect(as('key-2', ['*'], 'ada').approve(body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    await expect(as('key-2', ['*'], 'ada').reject(body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    expect((await as('key-3', ['*'], 'bob').approve(body.approval.id)).status).toBe('pending');
    expect((await as('key-4', ['*'], 'bob').approve(body.approval.id)).status).toBe('pending');
    expect((await get('session_timeout_minutes')).body.value).toBe(1440);
    expect((await as('key-5', ['*'], 'eve').approve(body.approval.id)).status).toBe('applied');
  });

  it('is given by people who were named, where the policy says so', async () => {
    const { demand, as } = await given();
    await demand({ ...byCategory, named: true });
    const { body } = await as('key-1', ['*'], 'owner-1').set('session_timeout_minutes', 5);
    await expect(as('key-2', ['*'], 'key-2').approve(body.approval.id)).rejects.toMatchObject({ code: 'approval.not_named' });
    await expect(as('key-3', ['*'], 'owner-1').approve(body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    expect((await as('key-4', ['*'], 'owner-2').approve(body.approval.id)).status).toBe('applied');
  });

  it('of another plan is of the version that was asked for', async () => {
    const { demand, update, as, approval, publish, log, tenantId } = await given();
    await demand({ commands: ['plan'], approvers: 1, expiresHours: 1 });
    const { body } = await update({ plan: 'business' });
    expect((await approval(body.approval.id)).changes).toContainEqual({ path: 'plan.version', from: null, to: 1 });
    publish(2);
    expect((await as('bob').approve(body.approval.id)).status).toBe('applied');
    expect((await log.load(tenant, { tenant: tenantId })).state).toMatchObject({ plan: { id: 'business', version: 1 } });
    expect((await as('bob').update({ plan: 'free' })).status).toBe(202);
  });

  it('is needed to ask for fewer of them', async () => {
    const { setPolicies: put, policies: get, as, approval } = await given();
    const strict = [{ ...byCategory, approvers: 2 }];
    expect((await put(strict)).status).toBe(200);
    const asked = await put([]);
    expect([asked.status, await get()]).toEqual([202, strict]);
    expect(await approval(asked.body.approval.id)).toMatchObject({ tenantId: null, approvers: 2, request: { items: [] } });
    await expect(as('ada').approve(asked.body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    await as('bob').approve(asked.body.approval.id);
    expect((await as('eve').approve(asked.body.approval.id)).status).toBe('applied');
    expect(await get()).toEqual([]);
  });

  it('of fewer is of the policies that were looked at', async () => {
    const { setPolicies: put, policies: get, as } = await given();
    await put([byCategory]);
    const asked = await put([]);
    const stricter = [byCategory, { keys: ['token'], approvers: 3, expiresHours: 1 }];
    expect((await put(stricter)).status).toBe(200);
    expect(await as('bob').approve(asked.body.approval.id)).toMatchObject({ status: 'failed', error: { code: 'precondition.failed' } });
    expect(await get()).toEqual(stricter);
  });

  it('is not needed for what is so already, nor for what no policy speaks of', async () => {
    const { demand, set, feature } = await given();
    await demand(byCategory, { commands: ['features'], approvers: 1, expiresHours: 1 });
    expect((await set('session_timeout_minutes', 1440)).status).toBe(200);
    expect((await set('motto', 'second')).status).toBe(200);
    expect((await feature('beta', { enabled: false })).status).toBe(202);
  });

  it('is needed for what was so already when it was looked at, and is not any more', async () => {
    const { demand, meanwhile, force, set, get, put, feature, toStatus, own, clock, log, tenantId } = await given();
    const policy = { approvers: 1, expiresHours: 1 };
    await demand({ ...policy, keys: ['motto'] }, { ...policy, commands: ['features', 'suspend'] });
    const needed = { code: 'approval.needed' };
    const motto = (value: string) => () =>
      force({ settings: [{ key: 'motto', value: JSON.stringify(value), type: 'string', category: 'general', encrypted: false }] });
    const beta = (enabled: boolean) => () => force({ features: [{ flag: 'beta', enabled, percentage: 100, at: null }] });
    meanwhile(motto('theirs'));
    await expect(set('motto', 'first')).rejects.toMatchObject(needed);
    meanwhile(motto('first'));
    await expect(put({ settings: { motto: 'theirs' } })).rejects.toMatchObject(needed);
    expect((await get('motto')).body.value).toBe('first');
    await beta(true)();
    meanwhile(beta(false));
    await expect(feature('beta', { enabled: true })).rejects.toMatchObject(needed);
    await own(suspend({ cause: 'manual' }, clock.now()) as never);
    meanwhile(() => own(reactivate({ cause: 'manual' }, clock.now()) as never));
    await expect(toStatus('suspended')).rejects.toMatchObject(needed);
    expect((await log.load(tenant, { tenant: tenantId })).state.status).toBe('active');
  });

  it('holds whichever way the change comes', async () => {
    const { demand, set, put, rollBack, update, versions } = await given();
    await set('session_timeout_minutes', 5);
    await demand(byCategory, { commands: ['plan'], approvers: 1, expiresHours: 1 });
    expect((await put({ security: { session_timeout_minutes: 7 } })).status).toBe(202);
    expect((await rollBack(1)).status).toBe(202);
    expect((await update({ plan: 'business' })).status).toBe(202);
    expect((await update({ name: 'Free to change' })).status).toBe(200);
    expect(await versions()).toHaveLength(2);
  });

  it('of a plan, of contacts and of a removal are made as they were asked for', async () => {
    const { demand, update, remove, get, as, log, tenantId } = await given();
    await demand({ commands: ['plan', 'update', 'settings'], approvers: 1, expiresHours: 1 });
    const asked = [
      await update({ plan: 'business', billingEmail: null, adminEmail: 'a@acme.example', tags: ['x'] }),
      await remove('motto'),
    ];
    for (const { body } of asked) expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'applied' });
    await expect(get('motto')).rejects.toMatchObject({ code: 'settings.not_found' });
    const { state } = await log.load(tenant, { tenant: tenantId });
    expect(state).toMatchObject({ plan: { id: 'business' }, tags: ['x'], adminEmail: { enc: expect.any(String) } });
    expect(state).not.toHaveProperty('billingEmail', expect.anything());
  });

  it('of a suspension is carried out as it was asked for', async () => {
    const { demand, suspend, toStatus, as, approval, log, tenantId } = await given();
    await demand({ commands: ['suspend'], approvers: 1, expiresHours: 1 });
    const asked = await suspend({ reason: 'did not pay', cause: 'payment' });
    expect(asked).toMatchObject({ status: 202, body: { approval: { status: 'pending' } } });
    expect((await toStatus('suspended')).status).toBe(202);
    expect(await as('bob').approve(asked.body.approval.id)).toMatchObject({ status: 'applied', command: 'suspend' });
    const { state, events } = await log.load(tenant, { tenant: tenantId });
    expect(state).toMatchObject({ status: 'suspended', statusCause: 'payment', statusReason: { enc: expect.any(String) } });
    expect(events.at(-1)?.metadata.actor).toEqual({ kind: 'staff', id: 'ada' });
    expect((await approval(asked.body.approval.id)).status).toBe('applied');
    expect((await suspend({})).status).toBe(200);
  });

  it('is refused, or comes too late', async () => {
    const { demand, set, get, as, clock } = await given();
    await demand(byCategory);
    const [first, second] = [await set('session_timeout_minutes', 5), await set('session_timeout_minutes', 6)];
    await expect(as('ada').reject(first.body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    expect(await as('bob').reject(first.body.approval.id)).toMatchObject({ status: 'rejected', rejectedBy: { id: 'bob' } });
    await expect(as('eve').approve(first.body.approval.id)).rejects.toMatchObject({ code: 'approval.not_pending' });
    clock.advance(3_600_000);
    await expect(as('bob').approve(second.body.approval.id)).rejects.toMatchObject({ code: 'approval.not_pending' });
    expect((await get('session_timeout_minutes')).body.value).toBe(1440);
  });

  it('of a change that was asked for on another version than there is fails, and changes nothing', async () => {
    const { demand, set, get, as } = await given();
    const { version } = await set('motto', 'second');
    await demand(byCategory);
    const { body } = await set('session_timeout_minutes', 5, {}, { ifMatch: version });
    await expect(set('session_timeout_minutes', 6, {}, { ifMatch: version - 1 })).rejects.toMatchObject({ code: 'precondition.failed' });
    await set('motto', 'third');
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'failed', error: { code: 'precondition.failed' } });
    expect((await get('session_timeout_minutes')).body.value).toBe(1440);
  });

  it('is made once, also where it is tried again after every crash', async () => {
    const { demand, set, as, approved, tenantId, types } = await given();
    await demand(byCategory);
    const { body } = await set('session_timeout_minutes', 5);
    const stopped = approved.make;
    approved.make = async () => {
      throw new Error('the process died here');
    };
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'approved' });
    approved.make = stopped;
    await Promise.all([approved.make(tenantId, body.approval.id), approved.make(tenantId, body.approval.id)]);
    await approved.make(tenantId, body.approval.id);
    expect((await types()).filter((type) => type === 'SettingChanged' || type === 'ApprovalApplied')).toEqual([
      'SettingChanged',
      'ApprovalApplied',
    ]);
  });

  it('doesn’t show sensitive values', async () => {
    const { demand, set, approval } = await given();
    await set('token', 'one');
    await demand({ keys: ['token'], approvers: 1, expiresHours: 1 });
    const { body } = await set('token', 'two', { encrypted: true });
    expect((await approval(body.approval.id)).changes).toEqual([{ path: 'settings.token', from: MASKED, to: MASKED }]);
  });
});
