import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { approvalImpacts, holdCommand } from '@tenantry/contracts/config/approval-operations';
import { DomainError } from '@tenantry/contracts/errors';
import { getLimits, overLimits, overrideLimits, previewLimits, putLimits } from '@tenantry/contracts/quota/limit-routes';
import { type Limits, limitsInUnits } from '@tenantry/contracts/quota/limits';
import type { CommandContext } from '@tenantry/contracts/route';
import { TenantLog, type Transacted } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import { type Call, type Reply, RpcClient } from '@tenantry/messaging/rpc';
import type { z } from 'zod';
import { Ledger } from '../usage/ledger.js';
import { UsageMeter } from '../usage/usage-meter.js';
import { limitImpacts } from './limit-impacts.js';
import { override, type PlanLimits, type Quotas, quotas } from './quotas.js';

type Command = Parameters<TenantLog['transact']>[1]['command'];

/** Limits of one tenant in place of its plan's. */
@Controller()
export class LimitsRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly ledger: Ledger,
    private readonly meter: UsageMeter,
    private readonly clock: Clock,
    private readonly rpc: RpcClient,
  ) {}

  @Handles(getLimits)
  async get({ tenantId }: Call<typeof getLimits>): Reply<typeof getLimits> {
    const { state, version, position } = await this.log.load(quotas, { tenant: tenantId });
    if (state.status !== 'assigned') return this.meter.refuseTenant(tenantId);
    return { status: 200, body: { items: state.quotas }, version, position: { tenantId, position } };
  }

  @Handles(putLimits)
  async put({ tenantId, body, command }: Call<typeof putLimits>): Reply<typeof putLimits> {
    const before = await this.meter.standings(tenantId);
    const limits = limitsInUnits('limits', body.limits);
    const { held, unapproved } = await this.held(tenantId, limits, command);
    if (held) return held;
    const { state, version, position } = await this.set(tenantId, limits, command, unapproved);
    const items = state.status === 'assigned' ? state.quotas : [];
    return { status: 200, body: { items, impacts: limitImpacts(before, items) }, version, position: { tenantId, position } };
  }

  @Handles(previewLimits)
  async preview({ tenantId, body }: Call<typeof previewLimits>): Reply<typeof previewLimits> {
    const limits = limitsInUnits('limits', body.limits);
    const [standings, { state }, plan] = await Promise.all([
      this.meter.standings(tenantId),
      this.log.load(quotas, { tenant: tenantId }),
      this.plan(tenantId, limits),
    ]);
    const [event] = override(limits, plan, this.clock.now())(state);
    if (event?.type !== 'LimitsChanged') return { status: 200, body: { changes: [], impacts: [] } };
    const was = new Map(event.data.before.quotas.map((quota) => [quota.resource, quota]));
    const changes = event.data.quotas.flatMap(({ resource, limit, source }) =>
      (
        [
          ['limit', was.get(resource)?.limit ?? null, limit],
          ['source', was.get(resource)?.source ?? null, source],
        ] as const
      )
        .filter(([, from, to]) => from !== to)
        .map(([field, from, to]) => ({ path: `quotas.${resource}.${field}`, from, to })),
    );
    const { impacts } = await this.rpc.call(approvalImpacts, { command: 'limits' });
    return { status: 200, body: { changes, impacts: [...limitImpacts(standings, event.data.quotas), ...impacts] } };
  }

  @Handles(overrideLimits)
  async override(asked: z.infer<typeof overrideLimits.input>): Promise<z.infer<typeof overrideLimits.output>> {
    const { tenantId, limits, unapproved = false, command } = asked;
    await this.meter.standings(tenantId);
    await this.set(tenantId, limits, expecting(command), unapproved);
    return {};
  }

  @Handles(overLimits)
  over({ tenantIds, limits }: z.infer<typeof overLimits.input>): Promise<z.infer<typeof overLimits.output>> {
    const bounds = Object.entries(limits).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
    return this.ledger.over(tenantIds, Object.fromEntries(bounds), this.clock.now());
  }

  /**
   * What a policy has others approve waits for them, unless it would be refused, or change nothing. `unapproved`: it changes nothing, and
   * would wait if it did, as it may by the time that it is decided.
   */
  private async held(tenantId: string, limits: Limits, request: CommandContext) {
    const [plan, { state, version }] = await Promise.all([this.plan(tenantId, limits), this.log.load(quotas, { tenant: tenantId })]);
    if (override(limits, plan, this.clock.now())(state).length === 0) {
      const { impacts } = await this.rpc.call(approvalImpacts, { command: 'limits' });
      return { held: null, unapproved: impacts.length > 0 };
    }
    const { held } = await this.rpc.call(holdCommand, { tenantId, command: 'limits', body: { limits }, version, request });
    return { held, unapproved: false };
  }

  /** One append and one statement; where the process dies in between, the effect of the event writes the rows. */
  private async set(
    tenantId: string,
    limits: Limits,
    command: Command,
    unapproved = false,
  ): Promise<Transacted<Quotas, typeof quotas.events>> {
    const decide = override(limits, await this.plan(tenantId, limits), this.clock.now());
    const done = await this.log.transact(quotas, { tenant: tenantId, command }, unapproved ? refusingChanges(decide) : decide);
    const { state, position } = done;
    if (state.status === 'assigned')
      await this.ledger.relimit({ tenantId, position, retentionDays: state.retentionDays, quotas: state.quotas });
    return done;
  }

  /** What its plan is by the tenant's own events; null where nobody asks for it. */
  private async plan(tenantId: string, limits: Limits): Promise<PlanLimits | null> {
    if (!Object.values(limits).includes('plan')) return null;
    let plan: PlanLimits | null = null;
    for (let from = 0; ; ) {
      const { events, scannedTo, head } = await this.log.readLog(tenantId, from, { types: ['TenantRegistered', 'TenantPlanChanged'] });
      for (const { data } of events) plan = (data as { plan: PlanLimits }).plan;
      if (scannedTo >= head) return plan;
      from = scannedTo + 1;
    }
  }
}

/** Where others have to approve it. @throws DomainError `approval.needed` for what would change anything */
const refusingChanges =
  (decide: ReturnType<typeof override>): ReturnType<typeof override> =>
  (state) => {
    if (decide(state).length === 0) return [];
    throw new DomainError('approval.needed', {
      detail: 'A policy has others approve this change: ask for it, or ask again, for the tenant alone.',
    });
  };

/** With the version that was expected, where one was, it is a request that the log checks. */
function expecting({ ifMatch, actor, ...command }: z.infer<typeof overrideLimits.input>['command']): Command {
  if (ifMatch === undefined) return { ...command, actor };
  const principal = { kind: actor.kind as CommandContext['principal']['kind'], id: actor.id, permissions: [] };
  return { ...command, ifMatch, requestHash: command.id, principal };
}
