import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { ApiError, type EventSubscription, type TenantryApi } from './api.js';
import { ChainState } from './chain.js';
import { type Checkpoint, CheckpointMoved, type Checkpoints } from './checkpoints.js';
import { eventOf, holdsPersonal, type TenantEvent } from './event.js';
import { LogReader } from './log-reader.js';
import { type Pulled, Puller } from './puller.js';

/** History of a tenant is another one from this position on: everything from there is handed over again. */
export interface Rewritten {
  tenantId: string;
  /** The chain that noticed: a context, or `all`. */
  context: string;
  from: number;
}
/** What is worth a line in the subscriber's log. */
export type Notice =
  | { kind: 'dropped'; reason: 'malformed' | 'forged' | 'unknown_tenant'; subject: string; position?: number }
  | { kind: 'healed'; tenantId: string; context: string; from: number; to: number }
  | { kind: 'failed'; tenantId: string; position: number; attempt: number; error: unknown }
  | { kind: 'waiting'; tenantId?: string; reason: string; error?: unknown };

export interface EngineOptions<Transaction> {
  subscription: Pick<
    EventSubscription,
    'id' | 'stream' | 'consumers' | 'inboxPrefix' | 'tenants' | 'contexts' | 'types' | 'from' | 'createdAt'
  >;
  api: TenantryApi | null;
  checkpoints: Checkpoints<Transaction>;
  handle: (event: TenantEvent, transaction: Transaction) => Promise<unknown> | unknown;
  onRewritten?: (at: Rewritten) => Promise<unknown> | unknown;
  onPoison?: (event: TenantEvent, error: unknown) => Promise<'skip' | 'retry' | 'stop'> | 'skip' | 'retry' | 'stop';
  onNotice: (notice: Notice) => void;
  decrypt: boolean;
  attempts: number;
  concurrency: number;
  maxBuffered: number;
  settleMs: number;
  holeMs: number;
}

interface Held extends Pulled {
  event: TenantEvent;
  source: Source;
  receivedMs: number;
}
/** One consumer of the subscription. */
interface Source {
  name: string;
  puller: Puller;
  /** The tenant of its filter; null for all. */
  tenantId: string | null;
  held: number;
  lastSequence: number;
  pending: number | null;
  /** It can't be pulled from: nothing is to be waited for. */
  refused: boolean;
}
/** One tenant. Its events are handled one after the other. */
interface Lane {
  tenantId: string;
  queue: Held[];
  chains: Map<string, ChainState>;
  /** Highest position that was handled, of any context. */
  position: number;
  running: boolean;
  timer: NodeJS.Timeout | undefined;
  blocked: boolean;
  /** Data in clear, fetched ahead. */
  clear: Map<number, { id: string; version: number; data: unknown }>;
  verifiedMs: number;
}

const WORKING_MS = 10_000;
const UNREADABLE_MS = 2_000;
const LATER_MS = 30_000;
const HELD_OF_BLOCKED = 32;
const UNSAVED = 1_000;
const IDLE_LANES = 1_000;
const VERIFIED_FOR_MS = 5_000;
const EVENTS_PER_TURN = 100;

class Stopping extends Error {}
/** It can't go on: what it is of is told to whoever waits for the end. */
class GivenUp extends Error {}

/** Pulls, orders, proves that nothing is missing, heals, and hands over. */
export class Engine<Transaction> {
  private readonly lanes = new Map<string, Lane>();
  private readonly sources: Source[] = [];
  private readonly ready = new Set<Lane>();
  /** Lanes whose log is to be read to its head, once the bus has brought what it has. */
  private readonly checking = new Set<Lane>();
  /** Lanes that wait for their timer. */
  private readonly waiting = new Set<Lane>();
  private readonly runs = new Set<Promise<void>>();
  private readonly log: LogReader | null;
  private readonly types: ReadonlySet<string> | null;
  private readonly abort = new AbortController();
  private readonly working: NodeJS.Timeout;
  private stopping = false;

  constructor(
    connection: NatsConnection,
    private readonly options: EngineOptions<Transaction>,
    private readonly onFailed: (error: unknown) => void,
  ) {
    const { subscription, api } = options;
    this.log = api && new LogReader(api);
    this.types = subscription.types && new Set(subscription.types);
    const share = Math.max(4, Math.floor(options.maxBuffered / subscription.consumers.length));
    for (const { name, filterSubject } of subscription.consumers) {
      const [, , tenant = '>'] = filterSubject.split('.');
      const source = {
        name,
        tenantId: tenant === '*' || tenant === '>' ? null : tenant,
        held: 0,
        lastSequence: 0,
        pending: null,
        refused: false,
      } as unknown as Source;
      source.puller = new Puller({
        connection,
        ...{ stream: subscription.stream, consumer: name, inboxPrefix: subscription.inboxPrefix ?? undefined },
        room: () => share - source.held,
        onMessage: (pulled) => this.received(source, pulled),
        onDrained: () => this.drained(source),
        onRefused: (reason) => {
          options.onNotice({ kind: 'waiting', reason: `${name}: ${reason}` });
          source.refused = true;
          this.wakeWaiting();
        },
      });
      this.sources.push(source);
    }
    // What is held for long, by a slow handler or behind a hole, is not to be delivered elsewhere meanwhile.
    this.working = setInterval(() => {
      for (const { queue } of this.lanes.values()) for (const held of queue) held.working();
    }, WORKING_MS);
  }

  /** Looks for what the bus doesn't hold any more, or never will deliver again: logs that are known to go on after their checkpoint. */
  async catchUp(): Promise<void> {
    const { subscription, api, checkpoints } = this.options;
    if (!api) return;
    const tenants = new Set(subscription.tenants === 'all' ? await checkpoints.tenants(subscription.id) : subscription.tenants);
    for (const tenantId of tenants) this.toCatchUp(tenantId);
    if (subscription.tenants !== 'all' || subscription.from === 'new' || api.surface !== 'platform') return;
    try {
      for await (const tenantId of api.tenants(this.abort.signal)) if (!tenants.has(tenantId)) this.toCatchUp(tenantId);
    } catch (error) {
      if (this.stopping) return;
      this.options.onNotice({ kind: 'waiting', reason: 'tenants cannot be listed: those without new events are not looked at', error });
    }
  }

  reconnected(): void {
    for (const { puller } of this.sources) puller.reconnected();
  }

  /** How far it is: `pending` are messages that the broker has not delivered yet (null until that is known). */
  lag() {
    return {
      consumers: this.sources.map(({ name, pending, held }) => ({ name, pending, held })),
      tenants: [...this.lanes.values()].flatMap(({ tenantId, chains, queue, blocked }) =>
        [...chains.values()].map(({ context, last }) => ({
          tenantId,
          context,
          position: last.position,
          seen: Math.max(last.position, queue.at(-1)?.event.position ?? -1),
          blocked,
        })),
      ),
    };
  }

  /** Ends after what is being handled; everything that is held is given back to the broker. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.abort.abort(new Stopping('the subscription is being stopped'));
    clearInterval(this.working);
    for (const { puller } of this.sources) puller.stop();
    for (const lane of this.lanes.values()) clearTimeout(lane.timer);
    await Promise.all(this.runs);
    for (const { queue } of this.lanes.values()) for (const held of queue) held.again();
    await Promise.all([...this.lanes.values()].map((lane) => this.save(lane)));
    this.lanes.clear();
  }

  private received(source: Source, pulled: Pulled): void {
    source.lastSequence = Math.max(source.lastSequence, pulled.streamSequence);
    source.pending = pulled.pending;
    source.refused = false;
    const event = eventOf(pulled.message);
    if (!event || (source.tenantId !== null && source.tenantId !== event.tenantId)) {
      pulled.refuse();
      this.options.onNotice({ kind: 'dropped', reason: 'malformed', subject: pulled.message.subject });
      return;
    }
    const lane = this.lane(event.tenantId);
    if (lane.blocked && lane.queue.length >= HELD_OF_BLOCKED) {
      pulled.again(LATER_MS);
      return;
    }
    source.held += 1;
    const held: Held = { ...pulled, event, source, receivedMs: performance.now() };
    const index = lane.queue.findLastIndex((other) => other.event.position <= event.position);
    lane.queue.splice(index + 1, 0, held);
    this.schedule(lane);
    if (this.sources.length > 1) this.wakeWaiting();
  }

  private drained(source: Source): void {
    source.pending = 0;
    source.refused = false;
    if (this.sources.length > 1) this.wakeWaiting();
    for (const lane of this.checking) if (brings(source, lane)) this.schedule(lane);
  }

  private lane(tenantId: string): Lane {
    const known = this.lanes.get(tenantId);
    if (known) return known;
    const made: Lane = {
      ...{ tenantId, queue: [], chains: new Map(), position: -1, running: false, timer: undefined, blocked: false },
      ...{ clear: new Map(), verifiedMs: Number.NEGATIVE_INFINITY },
    };
    this.lanes.set(tenantId, made);
    return made;
  }

  private toCatchUp(tenantId: string): void {
    const lane = this.lane(tenantId);
    this.checking.add(lane);
    this.schedule(lane);
  }

  private wakeWaiting(): void {
    for (const lane of this.waiting) this.schedule(lane);
  }

  private schedule(lane: Lane, inMs = 0): void {
    clearTimeout(lane.timer);
    this.waiting.delete(lane);
    if (this.stopping || lane.running) return;
    if (inMs > 0) {
      this.waiting.add(lane);
      lane.timer = setTimeout(() => this.schedule(lane), inMs);
    } else {
      this.ready.add(lane);
      this.startReady();
    }
  }

  private startReady(): void {
    for (const lane of this.ready) {
      if (this.stopping || this.runs.size >= this.options.concurrency) return;
      this.ready.delete(lane);
      lane.running = true;
      const run = this.turn(lane)
        .then((waitMs) => {
          lane.running = false;
          if (lane.queue.length > 0 || this.isToCheck(lane)) this.schedule(lane, waitMs ?? 0);
          else if (this.lanes.size > IDLE_LANES) return this.forget(lane);
        })
        .catch((error: unknown) => {
          lane.running = false;
          if (!this.stopping) this.onFailed(error);
        })
        .finally(() => {
          this.runs.delete(run);
          this.startReady();
        });
      this.runs.add(run);
    }
  }

  /** Handles what is there, for a while. @returns when to go on: 0 at once, null when something new has come */
  private async turn(lane: Lane): Promise<number | null> {
    try {
      if (lane.queue.length === 0 && this.isToCheck(lane)) await this.readRest(lane);
      for (let count = 0; count < EVENTS_PER_TURN; count++) {
        const held = lane.queue[0];
        if (!held) return null;
        if (this.stopping) return null;
        const waitMs = this.toWaitMs(lane, held) ?? (await this.look(lane, held));
        if (waitMs !== null) return waitMs;
      }
      return 0;
    } catch (error) {
      if (this.stopping) return null;
      if (error instanceof GivenUp) throw error.cause ?? error;
      if (error instanceof ApiError) {
        if (error.status === 404 || error.status === 410) return this.withoutLog(lane);
        if (error.status === 401 || error.status === 403) throw error;
      }
      this.options.onNotice({ kind: 'waiting', tenantId: lane.tenantId, reason: 'the log or the checkpoint cannot be read', error });
      return UNREADABLE_MS;
    }
  }

  /** Consumers are read apart: an event waits until none of the others can still bring an earlier one of the tenant. */
  private toWaitMs(lane: Lane, { source, streamSequence, event, receivedMs }: Held): number | null {
    if (this.sources.length === 1 || event.position <= lane.position + 1) return null;
    const others = this.sources.filter(
      (other) => other !== source && !other.refused && brings(other, lane) && other.lastSequence < streamSequence,
    );
    if (others.length === 0) return null;
    const leftMs = receivedMs + this.options.settleMs - performance.now();
    if (others.every(({ pending }) => pending === 0)) return leftMs > 0 ? leftMs : null;
    return Math.max(leftMs, this.options.settleMs);
  }

  /** Decides about the first one in the queue, and does it. @returns how long to wait first; null when it was dealt with */
  private async look(lane: Lane, held: Held): Promise<number | null> {
    const { event } = held;
    const chain = await this.chain(lane, event);
    switch (chain.judge(event)) {
      case 'known':
        this.done(lane, held);
        return null;
      case 'next':
        if (await this.deliver(lane, chain, event, () => lane.queue.map((other) => other.event))) this.done(lane, held);
        return null;
      case 'hole': {
        // It may be on its way: delivered again, or to another process of this subscriber.
        const leftMs = held.receivedMs + this.options.holeMs - performance.now();
        if (leftMs > 0) return leftMs;
        if (await this.movedElsewhere(lane, chain)) return null;
        // Where the log was read up to its position, what still doesn't fit is not in it.
        if (
          (await this.heal(lane, chain.context, event.position)) &&
          ['hole', 'strange'].includes(chain.judge(event)) &&
          lane.queue.includes(held)
        )
          this.drop(lane, held);
        return null;
      }
      case 'old':
        if (!this.log || performance.now() - lane.verifiedMs < VERIFIED_FOR_MS) {
          this.done(lane, held);
          return null;
        }
        return this.ask(lane, chain, held);
      case 'strange':
        if (!(await this.movedElsewhere(lane, chain))) return this.ask(lane, chain, held);
        return null;
    }
  }

  /** The log decides: whether it still has what was handled, and whether it has this event. */
  private async ask(lane: Lane, chain: ChainState, held: Held): Promise<null> {
    if (!this.log) throw unprovable(lane.tenantId, held.event.position);
    const { signal } = this.abort;
    const [still, there] = await Promise.all([
      this.log.stillHas(chain, lane.tenantId, signal),
      this.log.at(lane.tenantId, held.event.position, signal),
    ]);
    if (there?.id !== held.event.id) this.drop(lane, held);
    const known = new Map(chain.remembered()).get(held.event.position);
    const rewritten = !still || (there !== null && known !== undefined && known !== there.id);
    if (rewritten) await this.rewritten(lane, chain);
    else {
      lane.verifiedMs = performance.now();
      if (there?.id !== held.event.id) return null;
      const whole = await this.heal(lane, chain.context, held.event.position);
      // The log has it as an event of another context.
      if (whole && held.event.position > chain.last.position) this.drop(lane, held);
    }
    return null;
  }

  private async rewritten(lane: Lane, chain: ChainState): Promise<void> {
    const { onRewritten, checkpoints } = this.options;
    const from = await (this.log as LogReader).divergence(chain, lane.tenantId, this.abort.signal);
    if (from > chain.last.position) return;
    if (!onRewritten)
      throw new GivenUp(
        `The history of tenant ${lane.tenantId} was rewritten from position ${from} on: pass onRewritten to undo what was done since and go on`,
      );
    const before = chain.remembered().findLast(([position]) => position < from);
    const to: Checkpoint = before ? { position: before[0], eventId: before[1] } : { position: -1, eventId: null };
    await this.persistently(lane, from, () => onRewritten({ tenantId: lane.tenantId, context: chain.context, from }));
    await checkpoints.move(this.key(lane, chain.context), undefined, to, async () => undefined);
    chain.goTo(to);
    chain.stored = to;
    lane.clear.clear();
    lane.position = Math.min(lane.position, to.position);
    lane.verifiedMs = performance.now();
    await this.heal(lane, chain.context, Number.POSITIVE_INFINITY);
  }

  private isToCheck(lane: Lane): boolean {
    return this.checking.has(lane) && this.sources.every((source) => !brings(source, lane) || source.pending === 0);
  }

  /** What the bus does not bring, because it no longer has it: everything up to the log's head. */
  private async readRest(lane: Lane): Promise<void> {
    const { contexts } = this.options.subscription;
    const chains = await Promise.all((contexts === 'all' ? ['all'] : contexts).map((context) => this.chain(lane, undefined, context)));
    const [first] = chains.sort((a, b) => a.last.position - b.last.position);
    if (!first || (await this.heal(lane, first.context, Number.POSITIVE_INFINITY))) this.checking.delete(lane);
  }

  /**
   * Reads from the log what is between a chain's checkpoint and a position, and hands it over; what is others' turn on the way, too.
   * @returns false where it was not read to the end: somebody else is at it, or history was rewritten
   */
  private async heal(lane: Lane, context: string, to: number): Promise<boolean> {
    const { api, onNotice } = this.options;
    const chain = await this.chain(lane, undefined, context);
    if (!api) throw unprovable(lane.tenantId, chain.last.position + 1);
    const from = chain.last.position + 1;
    // The event of the checkpoint is read too: so it is seen at once when it isn't there any more.
    for (let after = chain.last.eventId === null ? chain.last.position : chain.last.position - 1; ; ) {
      const { items, head } = await api.events(lane.tenantId, after, 200, this.abort.signal);
      const { last } = chain;
      const same =
        last.position <= after || last.eventId === null || items.find(({ position }) => position === last.position)?.id === last.eventId;
      if (!same) {
        await this.rewritten(lane, chain);
        return false;
      }
      lane.verifiedMs = performance.now();
      for (const [index, event] of items.entries()) {
        if (event.position > to) break;
        if (this.stopping) throw new Stopping();
        const of = await this.turnOf(lane, chain, event);
        if (of && !(await this.deliver(lane, of, event, () => items.slice(index)))) return false;
      }
      after = items.at(-1)?.position ?? head;
      if (after >= head || after >= to) break;
    }
    if (chain.last.position >= from) onNotice({ kind: 'healed', tenantId: lane.tenantId, context, from, to: chain.last.position });
    return true;
  }

  /** The chain whose turn an event of the log is, which is read for one of them. */
  private async turnOf(lane: Lane, chain: ChainState, event: TenantEvent): Promise<ChainState | null> {
    const { contexts } = this.options.subscription;
    if (contexts === 'all' || event.context === chain.context) return event.position > chain.last.position ? chain : null;
    if (!contexts.includes(event.context)) return null;
    // What lies before it may not have been read here.
    const other = await this.chain(lane, event);
    return event.position > other.last.position && other.judge(event) === 'next' ? other : null;
  }

  /** @returns false where somebody else handled it meanwhile */
  private async deliver(lane: Lane, chain: ChainState, event: TenantEvent, ahead: () => TenantEvent[]): Promise<boolean> {
    const to = { position: event.position, eventId: event.id };
    if (!this.isWanted(event)) {
      // Nothing depends on where exactly it goes on among unwanted events: stored now and then, and with the next wanted one.
      chain.advance(event);
      lane.position = Math.max(lane.position, event.position);
      if (event.position - (chain.stored?.position ?? -1) >= UNSAVED) await this.save(lane);
      return true;
    }
    const key = this.key(lane, chain.context);
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
      await this.movedElsewhere(lane, chain);
      return false;
    }
    chain.stored = chain.advance(event);
    lane.position = Math.max(lane.position, event.position);
    return true;
  }

  /** Tries until it works, or until somebody decides otherwise. Nobody else waits meanwhile but this tenant. */
  private async persistently(
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
        if (error instanceof CheckpointMoved || error instanceof GivenUp || this.stopping) throw error;
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
        await sleep(Math.min(100 * 2 ** (attempt - 1), LATER_MS) * (0.5 + Math.random() / 2), undefined, { signal: this.abort.signal });
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
      const { items } = await api.decrypt(lane.tenantId, positions, this.abort.signal);
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

  private key(lane: Lane, context: string) {
    return { subscription: this.options.subscription.id, tenantId: lane.tenantId, context };
  }

  private async chain(lane: Lane, event?: TenantEvent, given?: string): Promise<ChainState> {
    const context = given ?? (this.options.subscription.contexts === 'all' ? 'all' : (event as TenantEvent).context);
    const known = lane.chains.get(context);
    if (known) return known;
    const stored = await this.options.checkpoints.load(this.key(lane, context));
    const made = new ChainState(context, stored ?? (await this.beginning(lane.tenantId, event, context)), stored);
    lane.chains.set(context, made);
    lane.position = Math.max(lane.position, made.last.position);
    return made;
  }

  /** Where a chain begins that nothing was handled of. */
  private async beginning(tenantId: string, event: TenantEvent | undefined, context: string): Promise<Checkpoint> {
    const { from, createdAt } = this.options.subscription;
    const before = event && (context === 'all' ? event.position - 1 : (event.previousInContext ?? -1));
    if (from === 'first') return { position: -1, eventId: null };
    if (typeof from === 'object' && 'positions' in from) {
      const position = from.positions[tenantId];
      if (position !== undefined) return { position: position - 1, eventId: null };
    }
    const time = typeof from === 'object' && 'time' in from ? from.time : createdAt;
    // A log that began since then begins with its first event, as most do that a subscription to all tenants meets.
    if (before === -1 && Date.parse((event as TenantEvent).recordedAt) >= Date.parse(time)) return { position: -1, eventId: null };
    if (this.log) return { position: (await this.log.firstSince(tenantId, time, this.abort.signal)) - 1, eventId: null };
    if (before === undefined) throw unprovable(tenantId, 0);
    return { position: before, eventId: null };
  }

  /** Another process of this subscriber may have gone on: the stored checkpoint says so. */
  private async movedElsewhere(lane: Lane, chain: ChainState): Promise<boolean> {
    const stored = await this.options.checkpoints.load(this.key(lane, chain.context));
    if (!stored || (stored.position === chain.stored?.position && stored.eventId === chain.stored.eventId)) return false;
    chain.stored = stored;
    chain.goTo(stored);
    return true;
  }

  private done(lane: Lane, held: Held): void {
    held.ack();
    this.remove(lane, held);
  }

  private drop(lane: Lane, held: Held): void {
    held.refuse();
    this.remove(lane, held);
    const { subject } = held.message;
    this.options.onNotice({ kind: 'dropped', reason: 'forged', subject, position: held.event.position });
  }

  private remove(lane: Lane, held: Held): void {
    const index = lane.queue.indexOf(held);
    if (index < 0) return;
    lane.queue.splice(index, 1);
    lane.clear.delete(held.event.position);
    held.source.held -= 1;
    held.source.puller.pull();
  }

  /** The tenant isn't there, or not any more: nothing of it can be proven, and nothing is left to read. */
  private withoutLog(lane: Lane): null {
    this.checking.delete(lane);
    for (const held of [...lane.queue]) {
      held.refuse();
      this.remove(lane, held);
      this.options.onNotice({ kind: 'dropped', reason: 'unknown_tenant', subject: held.message.subject, position: held.event.position });
    }
    return null;
  }

  private async save(lane: Lane): Promise<void> {
    for (const chain of lane.chains.values()) {
      const { last, stored, context } = chain;
      if (last.eventId === null || last.position === stored?.position) continue;
      try {
        await this.options.checkpoints.move(this.key(lane, context), stored, last, async () => undefined);
        chain.stored = last;
      } catch (error) {
        if (!(error instanceof CheckpointMoved)) throw error;
      }
    }
  }

  private async forget(lane: Lane): Promise<void> {
    await this.save(lane);
    if (!lane.running && lane.queue.length === 0 && !this.checking.has(lane) && !this.ready.has(lane)) this.lanes.delete(lane.tenantId);
  }
}

const brings = ({ tenantId }: Source, lane: Lane): boolean => tenantId === null || tenantId === lane.tenantId;

const unprovable = (tenantId: string, position: number) =>
  new GivenUp(
    `Events of tenant ${tenantId} are missing from position ${position} on, and only the log can give them: pass api with a key that has event:read`,
  );
