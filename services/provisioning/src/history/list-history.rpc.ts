import { Controller } from '@nestjs/common';
import { invalidField } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { type HistoryItem, listHistory } from '@tenantry/contracts/tenant/history-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { changesBetween, type NodeChange } from './changes.js';
import { documentOf } from './document.js';
import { isBefore, isWithin, type Moment, momentOf } from './moment.js';
import { shown } from './present.js';
import { Sensitive } from './sensitive.js';
import { after, nothing, snapshotTypes } from './snapshot.js';
import { TenantHistory } from './tenant-history.js';

type Query = Call<typeof listHistory>['query'];
/** An event without its data, of which a page could hold a lot. */
interface Found extends Omit<HistoryItem, 'changes'> {
  changes: NodeChange[];
}
const DEFAULT_LIMIT = 50;
/** Of a page's changes, before they are decrypted: an answer has to fit into a message. */
const PAGE_CHARACTERS = 200_000;

/**
 * Every event with what it changed. A page is computed by one fold from the log's beginning (with filters and newest first a second look
 * for the events of the page), reading page by page.
 */
@Controller()
export class ListHistoryRpc {
  constructor(
    private readonly history: TenantHistory,
    private readonly sensitive: Sensitive,
    private readonly keyring: Keyring,
  ) {}

  @Handles(listHistory)
  async handle({ tenantId, query, command }: Call<typeof listHistory>): Reply<typeof listHistory> {
    const wanted = wantedOf(query);
    const head = await this.history.head(tenantId, { from: wanted.from, to: wanted.to });
    const limit = query.limit ?? DEFAULT_LIMIT;
    const newestFirst = query.order === 'desc';
    const cursor = cursorOf(query);
    const chosen = newestFirst ? await this.newest(tenantId, wanted, Math.min(cursor ?? head + 1, head + 1), limit + 1) : null;
    const ofPage = new Set(chosen?.slice(-limit));
    const { found, more } = chosen
      ? await this.fold(tenantId, { from: chosen[0] ?? head + 1, to: chosen.at(-1) ?? -1 }, limit, ({ position }) => ofPage.has(position))
      : await this.fold(tenantId, { from: cursor ?? 0, to: head, type: query.type }, limit, (event) => matches(wanted, event));
    const page = newestFirst ? fitting([...found].reverse()) : fitting(found);
    const changes = await shown(
      this.keyring,
      tenantId,
      page.map((one) => one.changes),
      { permissions: command.principal.permissions, sensitive: await this.sensitive.keysOf(tenantId) },
    );
    const items = page.map((event, index) => ({ ...event, changes: changes[index] ?? [] }));
    const last = items.at(-1)?.position;
    const goesOn = page.length < found.length || more || (chosen !== null && chosen.length > limit);
    const nextCursor = last === undefined || !goesOn ? null : String(newestFirst ? last : last + 1);
    const filtered = Object.values(wanted).some((value) => value !== undefined);
    return {
      status: 200,
      body: { items, nextCursor },
      asOf: head,
      position: { tenantId, position: head },
      total: filtered ? undefined : head + 1,
    };
  }

  /** The positions of the last matches before one, oldest first. */
  private async newest(tenantId: string, wanted: Wanted, before: number, count: number): Promise<number[]> {
    if (wanted.type === undefined && wanted.actor === undefined && wanted.from === undefined && wanted.to === undefined)
      return Array.from({ length: Math.min(count, before) }, (_, index) => Math.max(0, before - count) + index);
    const found: number[] = [];
    for await (const event of this.history.events(tenantId, 0, before - 1, wanted.type === undefined ? undefined : [wanted.type])) {
      if (!matches(wanted, event)) continue;
      found.push(event.position);
      if (found.length > count) found.shift();
    }
    return found;
  }

  /** Folds from the first event, and compares around those of the range that are wanted. */
  private async fold(
    tenantId: string,
    { from, to, type }: { from: number; to: number; type?: string },
    limit: number,
    isWanted: (event: StoredEvent) => boolean,
  ): Promise<{ found: Found[]; more: boolean }> {
    let snapshot = nothing;
    for await (const event of this.history.events(tenantId, 0, from - 1, snapshotTypes)) snapshot = after(snapshot, event);
    const found: Found[] = [];
    const types = type === undefined ? undefined : [...snapshotTypes, type];
    for await (const event of this.history.events(tenantId, from, to, types)) {
      const now = after(snapshot, event);
      if (isWanted(event)) {
        if (found.length === limit) return { found, more: true };
        const { position, type: name, recordedAt, metadata } = event;
        const changes = changesBetween(documentOf(snapshot), documentOf(now));
        found.push({ position, type: name, recordedAt, actor: metadata.actor, changes });
      }
      snapshot = now;
    }
    return { found, more: false };
  }
}

interface Wanted {
  type?: string;
  actor?: string;
  from?: Moment;
  to?: Moment;
}
const wantedOf = ({ type, actor, from, to }: Query): Wanted => ({
  type,
  actor,
  from: from === undefined ? undefined : momentOf(from),
  to: to === undefined ? undefined : momentOf(to),
});
const matches = ({ type, actor, from, to }: Wanted, event: StoredEvent): boolean =>
  (type === undefined || event.type === type) &&
  (actor === undefined || event.metadata.actor.id === actor) &&
  (from === undefined || !isBefore(from, event)) &&
  (to === undefined || isWithin(to, event));

/** Oldest first: the position to go on at; newest first: the one to stay below. */
function cursorOf({ cursor }: Query): number | null {
  if (cursor === undefined) return null;
  if (!/^\d{1,15}$/.test(cursor)) throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
  return Number(cursor);
}

/** As many as fit into an answer, at least one. */
function fitting(found: Found[]): Found[] {
  let characters = 0;
  const end = found.findIndex(({ changes }, index) => {
    characters += JSON.stringify(changes).length;
    return index > 0 && characters > PAGE_CHARACTERS;
  });
  return end < 0 ? found : found.slice(0, end);
}
