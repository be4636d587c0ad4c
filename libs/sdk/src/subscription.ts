import type { NatsConnection } from '@nats-io/transport-node';
import { ApiError } from './api.js';
import type { ChainState } from './chain.js';
import { Chains } from './chains.js';
import { Delivery } from './delivery.js';
import type { EngineOptions } from './engine-options.js';
import { eventOf } from './event.js';
import { Healing } from './healing.js';
import { brings, GivenUp, type Held, type Lane, type Source, Stopping, unprovable } from './lane.js';
import { LogReader } from './log-reader.js';
import { type Pulled, Puller } from './puller.js';

const WORKING_MS = 10_000;
const UNREADABLE_MS = 2_000;
const LATER_MS = 30_000;
const HELD_OF_BLOCKED = 32;
const IDLE_LANES = 1_000;
const VERIFIED_FOR_MS = 5_000;
const EVENTS_PER_TURN = 100;

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
  private readonly chains: Chains<Transaction>;
  private readonly delivery: Delivery<Transaction>;
  private readonly healing: Healing<Transaction>;
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
    const { signal } = this.abort;
    this.chains = new Chains(options, this.log, signal);
    this.delivery = new Delivery(options, this.chains, signal);
    this.healing = new Healing(options, this.log, this.chains, this.delivery, signal);
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
    await Promise.all([...this.lanes.values()].map((lane) => this.chains.save(lane)));
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
      if (lane.queue.length === 0 && this.isToCheck(lane) && (await this.healing.readRest(lane))) this.checking.delete(lane);
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
    const chain = await this.chains.of(lane, event);
    switch (chain.judge(event)) {
      case 'known':
        this.done(lane, held);
        return null;
      case 'next':
        if (await this.delivery.deliver(lane, chain, event, () => lane.queue.map((other) => other.event))) this.done(lane, held);
        return null;
      case 'hole': {
        // It may be on its way: delivered again, or to another process of this subscriber.
        const leftMs = held.receivedMs + this.options.holeMs - performance.now();
        if (leftMs > 0) return leftMs;
        if (await this.chains.movedElsewhere(lane, chain)) return null;
        // Where the log was read up to its position, what still doesn't fit is not in it.
        if (
          (await this.healing.heal(lane, chain.context, event.position)) &&
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
        if (!(await this.chains.movedElsewhere(lane, chain))) return this.ask(lane, chain, held);
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
    if (rewritten) await this.healing.rewritten(lane, chain);
    else {
      lane.verifiedMs = performance.now();
      if (there?.id !== held.event.id) return null;
      const whole = await this.healing.heal(lane, chain.context, held.event.position);
      // The log has it as an event of another context.
      if (whole && held.event.position > chain.last.position) this.drop(lane, held);
    }
    return null;
  }

  private isToCheck(lane: Lane): boolean {
    return this.checking.has(lane) && this.sources.every((source) => !brings(source, lane) || source.pending === 0);
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

  private async forget(lane: Lane): Promise<void> {
    await this.chains.save(lane);
    if (!lane.running && lane.queue.length === 0 && !this.checking.has(lane) && !this.ready.has(lane)) this.lanes.delete(lane.tenantId);
  }
}
