import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { ComeBack, GiveUp } from '@tenantry/messaging/effects';
import { faultPoint } from '@tenantry/observability/fault';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { alone } from '@tenantry/tenancy/move/alone';
import {
  abandon,
  catchUp,
  copy,
  fence,
  finish,
  prepare,
  reopen,
  retire,
  switchBack,
  switchOver,
  thin,
  verify,
} from '@tenantry/tenancy/move/move';
import type { Move } from '@tenantry/tenancy/move/side';
import type { SwitchOptions } from '@tenantry/tenancy/move/switch';
import type { PlaceContext } from '@tenantry/tenancy/place-context';
import type { Placement } from '@tenantry/tenancy/placement';
import { takeRoomAt } from '@tenantry/tenancy/server-rooms';
import type { OperationContext, OperationStep, OperationType } from '../operation/operation-type.js';
import { OperationTypes } from '../operation/operation-types.js';
import type { Facts } from '../operation/stepped.js';
import { Servers } from '../server/servers.js';
import { moved, registered, tenant as tenantAggregate } from '../tenant/tenant.js';
import { arrive, endMove, type Moving, type Place, placement, restartMove } from './placement.js';

type Work<T> = (move: Move, moving: Moving, places: PlaceContext) => Promise<T>;

const busyMs = 500;
/** How often notes are thinned while the source is kept. */
const thinEveryMs = 60_000;
const immovable: ReadonlySet<string> = new Set(['deleting', 'deleted']);

/**
 * Has a tenant live elsewhere while it is in use: copied under a snapshot, caught up with, a short fence in which both are compared, switched.
 * Until the source is retired the move can be rolled back, with what was written at the target. In whatever step it dies, at most one
 * gate is open.
 */
@Injectable()
export class MoveOperation implements OperationType {
  readonly type = 'move';
  readonly effectiveAfter = 'switch';
  readonly steps: readonly OperationStep[];
  private readonly places: PlaceContext;
  private readonly budgetMs: number;
  /** When the notes of a move that is waiting were thinned last, on the process's clock. */
  private readonly thinned = new Map<string, number>();

  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
    private readonly servers: Servers,
    types: OperationTypes,
    database: Database,
    environment: Environment,
    keyring: Keyring,
  ) {
    this.places = { pool: database.pool, url: environment.values.TENANTRY_POSTGRES_URL, keys: keyring };
    this.budgetMs = environment.values.TENANTRY_MOVE_PAUSE_MS;
    this.steps = [
      {
        name: 'prepare',
        run: async (context) => {
          const { region } = await this.claim(context);
          return this.atWork(context, async (move, _, places) => {
            await takeRoomAt(this.places.pool, context.tenantId, move.to);
            return { ...(await prepare(places, move)), region };
          });
        },
        undo: (context) => this.undoing(context, (move, _, places) => abandon(places, move)),
      },
      { name: 'copy', run: (context) => this.atWork(context, (move, _, places) => copy(places, move)) },
      { name: 'catch-up', run: (context) => this.atWork(context, (move, _, places) => catchUp(places, move)) },
      {
        name: 'fence',
        run: (context) =>
          this.atWork(context, async (move, _, places) => {
            await fence(places, move);
            return null;
          }),
        undo: (context) => this.undoing(context, (move, _, places) => reopen(places, move)),
      },
      { name: 'verify', run: (context) => this.atWork(context, (move, _, places) => this.compare(places, move)) },
      {
        name: 'switch',
        run: (context) => this.atWork(context, (move, { from, to }, places) => this.switched(context, places, move, from, to)),
        undo: (context) => this.undoing(context, (move, { from, to }, places) => this.switchedBack(context, places, move, from, to)),
      },
      {
        name: 'retire',
        commits: true,
        waitMs: (context) => this.keptForMs(context),
        run: (context) =>
          this.atWork(context, async (move, _, places) => {
            await retire(places, move);
            return null;
          }),
      },
    ];
    types.add(this);
  }

  async ended({ tenantId, operationId, command }: OperationContext, status: Parameters<typeof endMove>[1]): Promise<void> {
    this.thinned.delete(operationId);
    // What failed behind the point of no return is still to be finished: nothing else may begin before.
    if (status === 'failed') return;
    await this.log.transact(placement, { tenant: tenantId, command: command('ended') }, endMove(operationId, status));
  }

  /** The move is the tenant's one move: since it was asked for, or, where it was undone, from now on again. */
  private async claim({ tenantId, operationId, input, command }: OperationContext): Promise<{ region: string }> {
    const { status, region } = registered((await this.log.load(tenantAggregate, { tenant: tenantId })).state);
    if (immovable.has(status)) throw new DomainError('tenant.not_ready', { detail: `The tenant is ${status}; it is not moved any more.` });
    await this.log.transact(
      placement,
      { tenant: tenantId, command: command('claim') },
      restartMove(operationId, input as unknown as Moving),
    );
    return { region };
  }

  private async atWork<T>(context: OperationContext, work: Work<T>): Promise<T> {
    const { tenantId, operationId } = context;
    const place = (at: Place): Placement => ({ tenantId, ready: true, ...at });
    const done = await alone(this.places, tenantId, async (places) => {
      // Asked by who is alone: whoever comes late, with a step that others have gone on from, would write into the place where the tenant
      // lives by now.
      if (!(await context.isDue())) throw new ComeBack(0);
      // An erasure may have taken the place away until then.
      const { state } = await this.log.load(placement, { tenant: tenantId });
      if (!state.placed || state.moving?.operationId !== operationId)
        throw new GiveUp('The place is gone', {
          cause: new DomainError('placement.not_found', { detail: 'The tenant has no place any more.' }),
        });
      const { moving } = state;
      return work({ from: place(moving.from), to: place(moving.to) }, moving, places);
    });
    if (done === null) throw new ComeBack(busyMs);
    return done.result;
  }

  /** A move that could not even begin again has nothing to be undone. */
  private async undoing(context: OperationContext, work: Work<void>): Promise<void> {
    const { state } = await this.log.load(placement, { tenant: context.tenantId });
    if (state.placed && state.moving?.operationId === context.operationId) await this.atWork(context, work);
  }

  /** What is not the same will not be the next time either. */
  private async compare(places: PlaceContext, move: Move): Promise<Facts> {
    try {
      return await verify(places, move);
    } catch (error) {
      if (error instanceof DomainError) throw new GiveUp('The copy is not what the original is', { cause: error });
      throw error;
    }
  }

  private async switched(context: OperationContext, places: PlaceContext, move: Move, from: Place, to: Place): Promise<Facts> {
    const { closedMs, attempts } = await switchOver(places, move, context.results['prepare'] as { structure: string }, this.options());
    const switchedAt = this.clock.now();
    const region = from.server === to.server ? null : await this.servers.regionOf(to.server);
    await this.say(context, 'arrived', from, to, region);
    await finish(places, move);
    // For so long nobody came in; null where the process that switched died before it could say so.
    return { switchedAt, closedMs, attempts: attempts.map(({ closedMs: triedMs, why }) => ({ closedMs: triedMs, why })) };
  }

  private async switchedBack(context: OperationContext, places: PlaceContext, move: Move, from: Place, to: Place): Promise<void> {
    const back = await switchBack(places, move, this.options());
    const { region = null } = (context.results['prepare'] ?? {}) as { region?: string };
    if (back) await this.say(context, 'returned', to, { ...from, generation: back.generation }, region);
  }

  private options = (): SwitchOptions => ({ budgetMs: this.budgetMs, at: (moment) => faultPoint(`move.gate.${moment}`) });

  /** @param region that the tenant is in from now on; null: it stays */
  private async say(
    { tenantId, operationId, command }: OperationContext,
    name: string,
    before: Place,
    now: Place,
    region: string | null,
  ): Promise<void> {
    await this.log.transact(placement, { tenant: tenantId, command: command(`${name}.placement`) }, arrive(now));
    await this.log.transact(
      tenantAggregate,
      { tenant: tenantId, command: command(`${name}.tenant`) },
      moved(operationId, before, now, this.clock.now(), region),
    );
  }

  /** A tenant whose grace is over is erased once its moves are: nobody goes back. */
  private isOver = (deletion: { graceEndsAt: string } | null): boolean =>
    deletion !== null && Date.parse(deletion.graceEndsAt) <= this.clock.nowMs();

  private async keptForMs({ tenantId, operationId, results }: OperationContext): Promise<number> {
    const [{ state }, life] = await Promise.all([
      this.log.load(placement, { tenant: tenantId }),
      this.log.load(tenantAggregate, { tenant: tenantId }),
    ]);
    if (!state.placed || state.moving?.operationId !== operationId || this.isOver(registered(life.state).deletion)) return 0;
    const { switchedAt } = results['switch'] as { switchedAt: string };
    const leftMs = Date.parse(switchedAt) + state.moving.keepSourceMinutes * 60_000 - this.clock.nowMs();
    if (leftMs > 0) await this.thinNotes(tenantId, operationId, state.moving);
    return leftMs;
  }

  /** While the source is kept everything that is written is noted: each row once is enough. */
  private async thinNotes(tenantId: string, operationId: string, { from, to }: Moving): Promise<void> {
    const now = performance.now();
    const last = this.thinned.get(operationId);
    if (last !== undefined && now - last < thinEveryMs) return;
    this.thinned.set(operationId, now);
    if (last === undefined) return;
    const place = (at: Place): Placement => ({ tenantId, ready: true, ...at });
    await thin(this.places, { from: place(from), to: place(to) });
  }
}
