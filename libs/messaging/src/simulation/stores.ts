import type { EventStore } from '@tenantry/event-store/port';
import { type Attempt, AttemptStore, type Hint, HintStore, type Parked, ParkedStore } from '../consumer-rows.js';
import type { Behind } from '../sweep.js';
import { keyOf, type Tables } from './tables.js';
import type { Process } from './world.js';

export class SimulatedHints extends HintStore {
  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
    private readonly store: EventStore,
  ) {
    super();
  }
  override read(consumer: string, tenantIds: string[]): Promise<Map<string, Hint>> {
    return this.process.ask(
      () =>
        new Map(
          tenantIds.flatMap((tenantId) => {
            const hint = this.tables.hints.get(keyOf(consumer, tenantId));
            return hint ? [[tenantId, hint] as const] : [];
          }),
        ),
    );
  }
  override write(hints: (Hint & { consumer: string; tenantId: string })[]): Promise<void> {
    return this.process.ask(() => {
      for (const { consumer, tenantId, ...hint } of hints) this.tables.hints.set(keyOf(consumer, tenantId), hint);
    });
  }
  override async *behind(consumer: string, version: string): AsyncIterable<Behind[]> {
    yield await this.process.ask(async () =>
      (await this.store.heads()).flatMap(({ tenantId, position }) => {
        const hint = this.tables.hints.get(keyOf(consumer, tenantId));
        return hint?.version === version && hint.position === position ? [] : [{ tenantId, head: position }];
      }),
    );
  }
}

export class SimulatedParked extends ParkedStore {
  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
  ) {
    super();
  }
  override all(): ReturnType<ParkedStore['all']> {
    const { world } = this.process;
    return this.process.ask(() =>
      [...this.tables.parked.values()].map((each) => ({ ...each, retryInMs: each.untilMs === null ? null : each.untilMs - world.nowMs })),
    );
  }
  override put(parked: Parked): Promise<void> {
    const untilMs = parked.retryInMs === null ? null : this.process.world.nowMs + parked.retryInMs;
    return this.process.ask(() => {
      this.tables.parked.set(keyOf(parked.consumer, parked.tenantId), { ...parked, untilMs });
    });
  }
  override skipped(): ReturnType<ParkedStore['skipped']> {
    return this.process.ask(() => []);
  }
  override remove(consumer: string, tenantId: string): Promise<void> {
    return this.process.ask(() => {
      this.tables.parked.delete(keyOf(consumer, tenantId));
    });
  }
}

export class SimulatedAttempts extends AttemptStore {
  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
  ) {
    super();
  }

  override begin(owner: string): Promise<{ died: boolean; attempts: Attempt[] }> {
    return this.process.ask(() => {
      const died = this.tables.runs.has(owner);
      this.tables.runs.add(owner);
      const attempts: Attempt[] = [];
      for (const [key, each] of this.tables.attempts) {
        if (each.owner !== owner) continue;
        if (!each.noted) {
          this.tables.attempts.delete(key);
          continue;
        }
        Object.assign(each, { noted: false, crashes: each.crashes + 1 });
        attempts.push({ ...each });
      }
      return { died, attempts };
    });
  }
  override note(owner: string, attempts: Attempt[]): Promise<void> {
    return this.process.ask(() => {
      for (const attempt of attempts) {
        const key = `${owner}:${keyOf(attempt.consumer, attempt.event.tenantId)}`;
        const before = this.tables.attempts.get(key);
        const isSame = before?.event.id === attempt.event.id && before.event.position === before.untilPosition;
        this.tables.attempts.set(key, { ...attempt, owner, noted: true, crashes: isSame ? before.crashes : 0 });
      }
    });
  }
  override clear(owner: string, consumer: string, tenantIds: string[]): Promise<void> {
    return this.process.ask(() => {
      for (const tenantId of tenantIds) this.tables.attempts.delete(`${owner}:${keyOf(consumer, tenantId)}`);
    });
  }
  override end(owner: string): Promise<void> {
    return this.process.ask(() => {
      this.tables.runs.delete(owner);
    });
  }
}
