import { ManualClock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import { shippedPlans } from '@tenantry/contracts/plans';
import type { Answer, CommandContext } from '@tenantry/contracts/route';
import { accessAfter, type TenantAccess } from '@tenantry/contracts/tenant/access';
import type { TenantStatus } from '@tenantry/contracts/tenant/bodies';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OperationIndex } from '../operation/operation-index.js';
import { DeleteTenantRpc } from './delete-tenant.rpc.js';
import { startErasure } from './deletion.js';
import { draft, registration } from './registration.js';
import { fail, markProvisioned, register, registered, type Tenant, tenant } from './tenant.js';
import { TenantRetry } from './tenant-retry.js';
import { TenantTransitions } from './tenant-transitions.js';
import { activate, endTrial } from './transitions.js';
import { TransitionsRpc } from './transitions.rpc.js';

/** What may happen to a tenant, said once more and apart from the code: the table of the contract. */
type Before = Exclude<TenantStatus, 'deleting' | 'deleted'>;
interface Model {
  status: TenantStatus;
  suspendedFrom: 'trial' | 'active' | null;
  archivedFrom: 'trial' | 'active' | 'suspended' | null;
  deletedFrom: Before | null;
  provisioned: boolean;
  trialOver: boolean;
  held: boolean;
  erasing: boolean;
}
type Outcome = { model: Model; answers: number } | { refused: string };

const named = ['activate', 'retry', 'suspend', 'reactivate', 'archive', 'restore', 'undelete'] as const;
const wanted = ['active', 'trial', 'suspended', 'archived'] as const;
type Step =
  | { by: 'name'; command: (typeof named)[number] }
  | { by: 'status'; status: (typeof wanted)[number] }
  | { by: 'delete'; graceDays: number | undefined; confirm: 'slug' | 'wrong' | undefined }
  | { by: 'hold'; held: boolean }
  | { by: 'itself'; event: 'provisioned' | 'completed' | 'failed' | 'trial-ends' | 'grace-ends' | 'erased' };

const notAllowed: Outcome = { refused: 'tenant.transition_not_allowed' };
const stays = (model: Model): Outcome => ({ model, answers: 200 });

function commanded(model: Model, command: (typeof named)[number]): Outcome {
  const { status } = model;
  const to = (change: Partial<Model>): Outcome => ({ model: { ...model, ...change }, answers: 200 });
  if (status === 'deleted') return { refused: 'tenant.deleted' };
  switch (command) {
    case 'activate':
      if (status === 'active') return stays(model);
      if (status === 'trial') return to({ status: 'active', trialOver: true });
      if (status !== 'pending') return notAllowed;
      if (!model.provisioned) return { refused: 'tenant.not_ready' };
      return model.trialOver ? to({ status: 'active' }) : to({ status: 'trial' });
    case 'retry':
      return status === 'failed' ? { model: { ...model, status: 'pending', trialOver: false }, answers: 202 } : notAllowed;
    case 'suspend':
      if (status === 'suspended') return stays(model);
      return status === 'trial' || status === 'active' ? to({ status: 'suspended', suspendedFrom: status }) : notAllowed;
    case 'reactivate':
      if (status === 'trial' || status === 'active') return stays(model);
      return status === 'suspended' ? to({ status: model.suspendedFrom as 'trial', suspendedFrom: null }) : notAllowed;
    case 'archive':
      if (status === 'archived') return stays(model);
      return status === 'trial' || status === 'active' || status === 'suspended'
        ? to({ status: 'archived', archivedFrom: status })
        : notAllowed;
    case 'restore':
      if (status === 'trial' || status === 'active' || status === 'suspended') return stays(model);
      return status === 'archived' ? to({ status: model.archivedFrom as 'trial', archivedFrom: null }) : notAllowed;
    case 'undelete': {
      const settles = (status === 'deleting' ? model.deletedFrom : status) !== 'pending' || model.provisioned;
      if (status !== 'deleting') return { model, answers: settles ? 200 : 202 };
      if (model.erasing) return notAllowed;
      return { model: { ...model, status: model.deletedFrom as Before, deletedFrom: null }, answers: settles ? 200 : 202 };
    }
  }
}

function brought(model: Model, to: (typeof wanted)[number]): Outcome {
  const { status, suspendedFrom, archivedFrom } = model;
  if (status === 'deleted') return { refused: 'tenant.deleted' };
  if (status === to) return stays(model);
  if (to === 'archived') return commanded(model, 'archive');
  const before = status === 'suspended' ? suspendedFrom : status === 'archived' ? archivedFrom : null;
  const leadsBack = before === to || (before === 'trial' && to === 'active');
  if (status === 'archived') return leadsBack ? commanded(model, 'restore') : notAllowed;
  if (to === 'suspended') return commanded(model, 'suspend');
  if (leadsBack) return commanded(model, 'reactivate');
  return to === 'active' ? commanded(model, 'activate') : notAllowed;
}

function itself(model: Model, event: Extract<Step, { by: 'itself' }>['event']): Outcome {
  const to = (change: Partial<Model>): Outcome => ({ model: { ...model, ...change }, answers: 0 });
  const same = to({});
  switch (event) {
    case 'provisioned':
      return model.status === 'pending' || (model.status === 'deleting' && model.deletedFrom === 'pending')
        ? to({ provisioned: true })
        : same;
    case 'completed':
      if (model.status !== 'pending' || !model.provisioned) return same;
      return to({ status: model.trialOver ? 'active' : 'trial' });
    case 'failed':
      return model.status === 'pending' ? to({ status: 'failed', provisioned: false }) : same;
    case 'trial-ends': {
      if (model.status === 'deleted' || model.trialOver) return same;
      const now = <S>(status: S) => (status === 'trial' ? ('active' as S) : status);
      return to({
        trialOver: true,
        status: now(model.status),
        suspendedFrom: now(model.suspendedFrom),
        archivedFrom: now(model.archivedFrom),
        deletedFrom: now(model.deletedFrom),
      });
    }
    case 'grace-ends':
      return model.status === 'deleting' && !model.held ? to({ erasing: true }) : same;
    case 'erased':
      return model.erasing ? to({ status: 'deleted' }) : same;
  }
}

function expected(model: Model, step: Step): Outcome {
  const { status } = model;
  if (step.by === 'itself') return itself(model, step.event);
  if (status === 'deleted') return { refused: 'tenant.deleted' };
  if (step.by === 'name') return commanded(model, step.command);
  if (step.by === 'status') return brought(model, step.status);
  if (step.by === 'hold') {
    if (step.held === model.held) return stays(model);
    return model.erasing ? notAllowed : stays({ ...model, held: step.held });
  }
  if (status === 'deleting') return { model, answers: 202 };
  if (model.held) return { refused: 'tenant.legal_hold' };
  if (step.confirm === 'wrong' || (step.graceDays === 0 && step.confirm === undefined)) return { refused: 'request.invalid' };
  return { model: { ...model, status: 'deleting', deletedFrom: status }, answers: 202 };
}

const DAY_MS = 24 * 3_600_000;

/** Dies after an append reached the log, as often as it was told to. */
class MortalStore extends MemoryEventStore {
  dies = false;
  override async append(...args: Parameters<MemoryEventStore['append']>): ReturnType<MemoryEventStore['append']> {
    const result = await super.append(...args);
    if (!this.dies) return result;
    this.dies = false;
    throw new Error('the process died');
  }
}

/** A tenant of its own whose provisioning is not over, on trial once it is, and all that can be asked of it. */
async function given() {
  const clock = new ManualClock();
  const store = new MortalStore();
  const keyring = new MemoryKeyring();
  const tenantId = newId();
  const index = { add: async () => undefined } as unknown as OperationIndex;
  /** A process: after its death another one knows what the log says. */
  const start = () => {
    const log = new DefaultTenantLog(store, keyring);
    const transitions = new TenantTransitions(new TenantRetry(log, index, clock), clock);
    return { log, asks: new TransitionsRpc(log, transitions, keyring, clock), deletes: new DeleteTenantRpc(log, index, keyring, clock) };
  };
  let { log, asks, deletes } = start();
  const plan = { ...shippedPlans.business, id: 'business', version: 1 };
  const domain = { type: 'subdomain', host: 'acme.tenantry.localhost', ssl: true } as const;
  const asked = draft({ name: 'Acme', plan: { id: 'business', trial: true } });
  const first = registration(asked, { operationId: 'op', slug: 'acme', domain, plan, now: clock.now() });
  const own = (decide: (state: Tenant) => any[], id = newId()) =>
    log.transact(tenant, { tenant: tenantId, command: { id, actor: { kind: 'service', id: 'test' } } }, decide);
  await own(register(first));
  const state = async () => registered((await log.load(tenant, { tenant: tenantId })).state);

  const request = (step: Step, command: CommandContext): Promise<Answer<unknown>> => {
    const call = (body: object, params: object = {}) => ({ tenantId, params: { tenantId, ...params }, query: {}, body, command }) as never;
    if (step.by === 'name') return asks[step.command](call({ reason: 'because' }));
    if (step.by === 'status') return asks.set(call({}, { status: step.status }));
    if (step.by === 'hold') return deletes.hold(call({ held: step.held, reason: 'a case' }));
    if (step.by !== 'delete') throw new Error('nobody asks for that');
    return deletes.delete(call({ graceDays: step.graceDays, confirm: step.confirm === 'slug' ? 'acme' : step.confirm }));
  };
  const happens = async (event: Extract<Step, { by: 'itself' }>['event']): Promise<void> => {
    const now = await state();
    if (event === 'provisioned' && (now.status === 'pending' || (now.status === 'deleting' && now.deletion?.from === 'pending')))
      await own(markProvisioned(now.operationId, clock.now()));
    if (event === 'completed' && now.status === 'pending' && now.provisioned)
      await own(activate({ operationId: now.operationId, cause: 'provisioned' }, clock.now()));
    if (event === 'failed' && (now.status === 'pending' || now.status === 'deleting'))
      await own(fail(now.operationId, 'isolate', { code: 'internal.error', detail: 'no disk' }, clock.now()));
    if (event === 'trial-ends') await own(endTrial(clock.now()));
    if (event === 'grace-ends' && now.deletion) {
      clock.advance(400 * DAY_MS);
      await own(startErasure(now.deletion.operationId, clock.now()));
    }
    if (event === 'erased' && now.status === 'deleting' && now.deletion?.erasing)
      await own(() => [{ type: 'TenantErased', data: { operationId: now.deletion?.operationId, erasedAt: clock.now() } }]);
  };
  return {
    state,
    happens,
    access: async () => (await store.readStream(tenantId, 'tenant')).events.reduce<TenantAccess>(accessAfter, 'open'),
    events: async () => (await store.readStream(tenantId, 'tenant')).events.length,
    /** `dies`: the process that carries it out ends after its append, and who asked asks again. */
    ask: async (step: Step, dies: boolean): Promise<{ status: number } | { refused: string }> => {
      const command: CommandContext = {
        id: newId(),
        requestHash: '0'.repeat(64),
        principal: { kind: 'staff', id: 'staff-1', permissions: ['*'] },
      };
      store.dies = dies;
      for (let tries = 0; ; tries++) {
        try {
          return { status: (await request(step, command)).status };
        } catch (error) {
          if (error instanceof DomainError && error.code !== 'internal.error') return { refused: error.code };
          if (tries > 0) throw error;
          ({ log, asks, deletes } = start());
        } finally {
          store.dies = false;
        }
      }
    },
  };
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ by: fc.constant('name' as const), command: fc.constantFrom(...named) }) },
  { weight: 3, arbitrary: fc.record({ by: fc.constant('status' as const), status: fc.constantFrom(...wanted) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      by: fc.constant('delete' as const),
      graceDays: fc.constantFrom(undefined, 0, 7),
      confirm: fc.constantFrom(undefined, 'slug' as const, 'wrong' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ by: fc.constant('hold' as const), held: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      by: fc.constant('itself' as const),
      event: fc.constantFrom('provisioned', 'completed', 'failed', 'trial-ends', 'grace-ends', 'erased'),
    }),
  },
) as fc.Arbitrary<Step>;

const fresh: Model = {
  ...{ status: 'pending', suspendedFrom: null, archivedFrom: null, deletedFrom: null },
  ...{ provisioned: false, trialOver: false, held: false, erasing: false },
};
const accessOf = ({ status }: Model): TenantAccess =>
  status === 'suspended' || status === 'archived' || status === 'deleting' || status === 'deleted' ? status : 'open';

describe('the life of a tenant', () => {
  it('goes as the table says, by whichever request, in any order, and although processes die', async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.record({ step, dies: fc.boolean() }), { minLength: 1, maxLength: 60, size: 'max' }), async (steps) => {
        const on = await given();
        let model = fresh;
        for (const { step, dies } of steps) {
          const outcome = expected(model, step);
          const before = await on.events();
          if (step.by === 'itself') await on.happens(step.event);
          else expect(await on.ask(step, dies)).toEqual('refused' in outcome ? outcome : { status: outcome.answers });
          const next = 'refused' in outcome ? model : outcome.model;
          // What is refused, or is so already, leaves no trace.
          if (JSON.stringify(next) === JSON.stringify(model)) expect(await on.events()).toBe(before);
          seen.add(`${model.status}>${next.status}`);
          model = next;
          const state = await on.state();
          expect({
            ...{ status: state.status, suspendedFrom: state.suspendedFrom, archivedFrom: state.archivedFrom },
            ...{
              deletedFrom: state.status === 'deleted' ? model.deletedFrom : (state.deletion?.from ?? null),
              provisioned: state.provisioned,
            },
            ...{ trialOver: state.trialEnded, held: state.legalHold !== null, erasing: state.deletion?.erasing ?? false },
          }).toEqual(model);
          expect(await on.access()).toBe(accessOf(model));
        }
      }),
      { numRuns: 500 },
    );
    // The sequences went everywhere.
    for (const one of [
      'trial>suspended',
      'suspended>archived',
      'archived>suspended',
      'archived>deleting',
      'deleting>archived',
      'deleting>deleted',
    ])
      expect(seen).toContain(one);
  });
});
