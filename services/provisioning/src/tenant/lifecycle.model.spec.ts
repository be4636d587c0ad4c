import { ManualClock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import { shippedPlans } from '@tenantry/contracts/plans';
import type { Answer, CommandContext } from '@tenantry/contracts/route';
import { accessAfter, type TenantAccess } from '@tenantry/contracts/tenant/access';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { expected, fresh, type Model, type Step, transitionNames, wantedStatuses } from '@tenantry/testing/lifecycle-model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Holding } from '../approval/holding.js';
import type { OperationIndex } from '../operation/operation-index.js';
import { DeleteTenantRpc } from './delete-tenant.rpc.js';
import { startErasure } from './deletion.js';
import { Deletions } from './deletions.js';
import { draft, registration } from './registration.js';
import type { Resellers } from './resellers.js';
import { fail, markProvisioned, register, registered, type Tenant, tenant } from './tenant.js';
import { TenantRetry } from './tenant-retry.js';
import { TenantTransitions } from './tenant-transitions.js';
import { activate, endTrial } from './transitions.js';
import { TransitionsRpc } from './transitions.rpc.js';

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
  const childless = { requireNoChildren: async () => undefined, settleChildren: async () => 0 } as unknown as Resellers;
  const index = { add: async () => undefined } as unknown as OperationIndex;
  const unheld = { holdCommand: async () => null, clearedDecision: async (decide: unknown) => decide } as unknown as Holding;
  /** A process: after its death another one knows what the log says. */
  const start = () => {
    const log = new DefaultTenantLog(store, keyring);
    const transitions = new TenantTransitions(new TenantRetry(log, index, clock), clock);
    return {
      log,
      asks: new TransitionsRpc(log, transitions, keyring, clock, unheld),
      deletes: new DeleteTenantRpc(log, new Deletions(log, index, childless, clock), unheld, keyring, clock),
    };
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
  { weight: 5, arbitrary: fc.record({ by: fc.constant('name' as const), command: fc.constantFrom(...transitionNames) }) },
  { weight: 3, arbitrary: fc.record({ by: fc.constant('status' as const), status: fc.constantFrom(...wantedStatuses) }) },
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
