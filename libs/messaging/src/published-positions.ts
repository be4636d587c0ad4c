import type { StoredMessage } from './broker.js';
import type { LogState } from './log-state.js';
import type { Advance, RelayStorage } from './relay-storage.js';

/** How far each log is published, remembered for the logs that grow. */
export class PublishedPositions {
  private readonly states = new Map<string, LogState>();
  /** Messages that the stream has and nobody wrote down, by log, in the stream's order: from just before a crash. */
  private unrecorded = new Map<string, StoredMessage[]>();

  constructor(
    private readonly storage: RelayStorage,
    private readonly limit = 20_000,
  ) {}

  known(tenantId: string): LogState | undefined {
    return this.states.get(tenantId);
  }
  forget(tenantIds: Iterable<string>): void {
    for (const tenantId of tenantIds) this.states.delete(tenantId);
  }
  forgetAll(): void {
    this.states.clear();
  }
  remember(tenantId: string, state: LogState): void {
    this.states.delete(tenantId);
    this.states.set(tenantId, state);
    if (this.states.size > this.limit) this.states.delete(this.states.keys().next().value as string);
  }

  /** What was found in the stream beyond what is written down. */
  found(messages: StoredMessage[]): void {
    this.unrecorded = Map.groupBy(messages, ({ tenantId }) => tenantId);
  }

  /** Reads the states that aren't known. @returns logs whose history was rewritten: nothing of them may be published yet */
  async learn(tenantIds: string[], epoch: number, owner: string): Promise<string[]> {
    const unknown = tenantIds.filter((tenantId) => !this.states.has(tenantId));
    if (unknown.length === 0) return [];
    const learnt = await this.storage.learn(unknown);
    const advances: Advance[] = [];
    for (const { tenantId, published, renewals, rewritten } of learnt) {
      if (rewritten) continue;
      let at = published;
      for (const { position, eventId } of this.unrecorded.get(tenantId) ?? []) {
        if (position === at.position + 1) at = { position, eventId };
      }
      if (at === published || renewals.length > 0) this.remember(tenantId, { published, renewals });
      else advances.push({ tenantId, from: published, to: at });
    }
    if (advances.length > 0) {
      const recorded = await this.storage.record({ epoch, owner, acknowledged: null, advances, renewed: [] });
      for (const { tenantId, to } of advances) if (recorded.has(tenantId)) this.remember(tenantId, { published: to, renewals: [] });
    }
    for (const tenantId of unknown) this.unrecorded.delete(tenantId);
    return learnt.filter(({ rewritten }) => rewritten).map(({ tenantId }) => tenantId);
  }
}
