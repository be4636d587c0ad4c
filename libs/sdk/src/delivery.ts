import { setTimeout as sleep } from 'node:timers/promises';
import type { ChainState } from './chain.js';
import type { Chains } from './chains.js';
import { CheckpointMoved } from './checkpoints.js';
import type { EngineOptions } from './engine-options.js';
import { holdsPersonal, type TenantEvent } from './event.js';
import { GivenUp, type Lane } from './lane.js';

const LONGEST_PAUSE_MS = 30_000;
const UNSAVED = 1_000;

/** Hands events over, in clear, each together with its checkpoint. */
export class Delivery<Transaction> {
  private readonly types: ReadonlySet<string> | null;

  constructor(
    private readonly options: EngineOptions<Transaction>,
    private readonly chains: Chains<Transaction>,
    private readonly signal: AbortSignal,
  ) {
    this.types = options.subscription.types && new Set(options.subscription.types);
  }

  /** @returns false where somebody else handled it meanwhile */
  async deliver(lane: Lane, chain: ChainState, event: TenantEvent, ahead: () => TenantEvent[]): Promise<boolean> {
    const to = { position: event.position, eventId: event.id };
    if (!this.isWanted(event)) {
      // Nothing depends on where exactly it goes on among unwanted events: stored now and then, and with the next wanted one.
      chain.advance(event);
      lane.position = Math.max(lane.position, event.position);
      if (event.position - (chain.stored?.position ?? -1) >= UNSAVED) await this.chains.save(lane);
      return true;
    }
    const key = this.chains.key(lane, chain.context);
    const clear = await this.inClear(lane, event, ahead);
    try {
      await this.persistently(
        lane,
        event.position,
        () =>
          this.options.checkpoints.move(key, chain.stored, to, async (transaction) => {
            await this.options.handle(clear, transaction);
          }),
        async (error) => {
          const decision = await (this.options.onPoison?.(event, error) ?? 'retry');
          if (decision === 'skip') await this.options.checkpoints.move(key, chain.stored, to, async () => undefined);
          return decision;
        },
      );
    } catch (error) {
      if (!(error instanceof CheckpointMoved)) throw error;
      await this.chains.movedElsewhere(lane, chain);
      return false;
    }
    chain.stored = chain.advance(event);
    lane.position = Math.max(lane.position, event.position);
    return true;
  }

  /** Tries until it works, or until somebody decides otherwise. Nobody else waits meanwhile but this tenant. */
  async persistently(
    lane: Lane,
    position: number,
    work: () => Promise<unknown> | unknown,
    decide: (error: unknown) => Promise<'skip' | 'retry' | 'stop'> = async () => 'retry',
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await work();
        lane.blocked = false;
        return;
      } catch (error) {
        if (error instanceof CheckpointMoved || error instanceof GivenUp || this.signal.aborted) throw error;
        this.options.onNotice({ kind: 'failed', tenantId: lane.tenantId, position, attempt, error });
        if (attempt >= this.options.attempts) {
          lane.blocked = true;
          const decision = await decide(error);
          if (decision === 'stop') throw new GivenUp('an event could not be handled', { cause: error });
          if (decision === 'skip') {
            lane.blocked = false;
            return;
          }
        }
        await sleep(Math.min(100 * 2 ** (attempt - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2), undefined, { signal: this.signal });
      }
    }
  }

  private async inClear(lane: Lane, event: TenantEvent, ahead: () => TenantEvent[]): Promise<TenantEvent> {
    const { api, decrypt } = this.options;
    if (!decrypt || !api || !holdsPersonal(event.data)) return event;
    if (lane.clear.get(event.position)?.id !== event.id) {
      const wanted = ahead().filter(
        (other) =>
          other.position >= event.position && other.position < event.position + 1_000 && this.isWanted(other) && holdsPersonal(other.data),
      );
      const positions = [...new Set([event.position, ...wanted.map(({ position }) => position)])].slice(0, 200);
      const { items } = await api.decrypt(lane.tenantId, positions, this.signal);
      lane.clear = new Map(items.map(({ position, ...clear }) => [position, clear]));
    }
    const found = lane.clear.get(event.position);
    // Not the log's: it is handed over as it came, and what follows shows that it is none.
    if (found?.id !== event.id) return event;
    return { ...event, data: found.data, version: found.version };
  }

  private isWanted({ type }: TenantEvent): boolean {
    return this.types === null || this.types.has(type);
  }
}
