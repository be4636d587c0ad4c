import { type Claimed, EffectStore, type Ending } from '../effect-store.js';
import type { StoredEffect, Tables } from './tables.js';
import type { Process } from './world.js';

/** The outbox as its worker sees it. */
export class SimulatedEffects extends EffectStore {
  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
  ) {
    super();
  }

  override claim(owner: string, free: { name: string; free: number }[], leaseMs: number): Promise<Claimed[]> {
    return this.process.ask(() => {
      const { nowMs } = this.process.world;
      return free.flatMap(({ name, free: count }) =>
        [...this.tables.effects.values()]
          .filter((effect) => effect.name === name && (effect.state === 'pending' || effect.state === 'running') && effect.dueMs <= nowMs)
          .slice(0, count)
          .map((effect): Claimed => {
            effect.state = 'running';
            effect.claims += 1;
            effect.owner = owner;
            effect.dueMs = nowMs + leaseMs;
            const { id, tenant_id: tenantId, payload, causation_id: causationId, claims, failures } = effect;
            return { id, tenantId, name, payload, causationId, claims, failures };
          }),
      );
    });
  }

  override record(endings: Ending[]): Promise<void> {
    return this.process.ask(() => {
      for (const { id, claims, state, delayMs, failed } of endings) {
        const effect = this.claimed(id, claims);
        if (!effect) continue;
        Object.assign(effect, { state, owner: null, dueMs: this.process.world.nowMs + delayMs });
        if (failed) effect.failures += 1;
      }
    });
  }

  override renew(claims: Pick<Claimed, 'id' | 'claims'>[], leaseMs: number): Promise<Pick<Claimed, 'id' | 'claims'>[]> {
    return this.process.ask(() =>
      claims.filter(({ id, claims: count }) => {
        const effect = this.claimed(id, count);
        if (effect) effect.dueMs = this.process.world.nowMs + leaseMs;
        return effect !== undefined;
      }),
    );
  }

  override takeBack(owner: string): Promise<void> {
    return this.process.ask(() => {
      for (const effect of this.tables.effects.values()) {
        if (effect.state === 'running' && effect.owner === owner) effect.dueMs = this.process.world.nowMs;
      }
    });
  }

  private claimed(id: string, claims: number): StoredEffect | undefined {
    const effect = this.tables.effects.get(id);
    return effect?.state === 'running' && effect.claims === claims ? effect : undefined;
  }
}
