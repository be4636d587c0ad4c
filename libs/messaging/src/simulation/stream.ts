import type { StoredEvent } from '@tenantry/contracts/events';
import { type Acknowledgement, Broker, type OutgoingMessage, type StoredMessage, type StreamState } from '../broker.js';
import type { SimulatedBus } from './bus.js';
import type { RelaySabotage } from './relay-tables.js';
import { Outage, type Process, type World } from './world.js';

const duplicateWindowMs = 120_000;
const pageSize = 50;

export interface HeldMessage extends StoredMessage {
  messageId: string;
}
/** As it is on the broker's disk. */
interface Stored {
  created: number;
  lastSequence: number;
  messages: Map<number, HeldMessage>;
}

/** A broker with one stream: as a JetStream server keeps it, and as people and power cuts treat it. */
export class SimulatedStream {
  /** null while there is no stream; `up` says whether anybody answers. */
  stream: Stored | null = null;
  up = true;
  /** Rises with every start. */
  server = 1;
  leader = 'a';
  /** Of the messages that are on disk for sure, the last. */
  private synced = 0;
  /** When an id was stored, and as what. Longer than the messages: a purge leaves it. */
  private readonly ids = new Map<string, { sequence: number; atMs: number }>();

  constructor(
    readonly world: World,
    private readonly bus: SimulatedBus,
  ) {}

  make(): Stored {
    this.stream ??= { created: this.world.nowMs + 1_767_225_600_000, lastSequence: 0, messages: new Map() };
    return this.stream;
  }

  state(): StreamState | null {
    if (!this.stream) return null;
    const { created, lastSequence, messages } = this.stream;
    const firstSequence = messages.keys().next().value ?? lastSequence + 1;
    return {
      created: new Date(created).toISOString(),
      firstSequence,
      lastSequence,
      deleted: lastSequence - firstSequence + 1 - messages.size,
      leader: this.leader,
    };
  }

  store({ event, messageId }: OutgoingMessage): Acknowledgement {
    if (!this.stream) throw new Outage('no stream takes it');
    const known = this.ids.get(messageId);
    if (known && known.atMs > this.world.nowMs - duplicateWindowMs) return { sequence: known.sequence, duplicate: true };
    const sequence = ++this.stream.lastSequence;
    const { tenantId, position, id } = event;
    this.stream.messages.set(sequence, { sequence, tenantId, position, eventId: id, messageId });
    this.ids.set(messageId, { sequence, atMs: this.world.nowMs });
    this.bus.publish(subjectOf(event), { tenantId, position, body: () => JSON.stringify(event.data) });
    return { sequence, duplicate: false };
  }

  /** What happens to brokers. @returns what it was */
  disaster(): string {
    const { world, stream } = this;
    const kind = world.pick([
      'sync',
      'purge',
      'purge a part',
      'delete messages',
      'delete',
      'make anew',
      'restart',
      'power cut',
      'wipe',
      'election',
    ] as const);
    const numbers = [...(stream?.messages.keys() ?? [])];
    switch (kind) {
      case 'sync':
        this.synced = stream?.lastSequence ?? 0;
        break;
      case 'purge':
        stream?.messages.clear();
        break;
      case 'purge a part':
        for (const sequence of numbers.slice(0, world.below(numbers.length + 1))) stream?.messages.delete(sequence);
        break;
      case 'delete messages':
        for (const sequence of numbers) if (world.chance(0.1)) stream?.messages.delete(sequence);
        break;
      case 'delete':
        this.gone();
        break;
      case 'make anew':
        this.gone();
        this.make();
        break;
      case 'restart':
        this.restart();
        break;
      case 'power cut':
        this.truncate(this.synced);
        this.restart();
        break;
      case 'wipe':
        this.gone();
        this.restart();
        break;
      case 'election':
        // Of what the old leader had acknowledged, the new one may lack the end.
        this.leader = this.leader === 'a' ? 'b' : 'a';
        this.truncate((stream?.lastSequence ?? 0) - world.below(3));
    }
    return kind;
  }

  private gone(): void {
    this.stream = null;
    this.synced = 0;
    this.ids.clear();
  }

  private truncate(last: number): void {
    const { stream } = this;
    if (!stream || last >= stream.lastSequence) return;
    for (const sequence of [...stream.messages.keys()]) if (sequence > last) stream.messages.delete(sequence);
    for (const [id, { sequence }] of [...this.ids]) if (sequence > last) this.ids.delete(id);
    stream.lastSequence = last;
    this.synced = Math.min(this.synced, last);
  }

  private restart(): void {
    this.up = false;
    this.server += 1;
    // The ids are learnt again from the messages.
    for (const [id, { sequence }] of [...this.ids]) if (!this.stream?.messages.has(sequence)) this.ids.delete(id);
    this.world.after(this.world.random() * 3_000, () => {
      this.up = true;
    });
  }
}

const subjectOf = ({ tenantId, context, type }: StoredEvent): string => `tenantry.events.${tenantId}.${context}.${type}`;

/** The broker as one process reaches it: over a connection that keeps the order, and that breaks. */
export class SimulatedBroker extends Broker {
  private connections = 0;
  private lastArrivalMs = 0;

  constructor(
    private readonly process: Process,
    private readonly server: SimulatedStream,
    private readonly bus: SimulatedBus,
    private readonly weather: { loss: number; latencyMs: number },
    private readonly sabotage: RelaySabotage,
  ) {
    super();
  }

  override connection(): string {
    return `${this.server.server}/${this.connections}`;
  }

  override ensureStream(): Promise<StreamState> {
    return this.ask(() => {
      this.server.make();
      return this.server.state() as StreamState;
    });
  }
  override state(): Promise<StreamState | null> {
    return this.ask(() => this.server.state());
  }
  override message(sequence: number): Promise<StoredMessage | null> {
    return this.ask(() => this.server.stream?.messages.get(sequence) ?? null);
  }

  override publish(message: OutgoingMessage): Promise<Acknowledgement> {
    const { world } = this.process;
    const connection = this.connection();
    const wayMs = () => world.random() * this.weather.latencyMs;
    // On one connection nothing overtakes, and nothing gets lost but with all that follows.
    this.lastArrivalMs = Math.max(this.lastArrivalMs, world.nowMs + wayMs());
    if (world.chance(this.weather.loss / 10)) this.connections += 1;
    return new Promise((resolve, reject) => {
      const lost = () => this.process.after(500, () => reject(new Outage('nothing was acknowledged')));
      if (this.sabotage.believesBeforeAcknowledged) resolve({ sequence: (this.server.stream?.lastSequence ?? 0) + 1, duplicate: false });
      world.after(this.lastArrivalMs - world.nowMs, () => {
        if (!this.server.up || connection !== this.connection()) return void lost();
        try {
          const acknowledgement = this.server.store(message);
          if (world.chance(this.weather.loss / 2)) lost();
          else this.process.after(wayMs(), () => resolve(acknowledgement));
        } catch (error) {
          this.process.after(wayMs(), () => reject(error));
        }
      });
    });
  }

  override async *scan(from: number, through: number): AsyncGenerator<StoredMessage[]> {
    const { server } = this.server;
    const begun = this.server.stream;
    for (let next = from; next <= through; ) {
      const page = await this.ask(() => {
        if (this.server.stream !== begun || this.server.server !== server || !begun) throw new Outage('the consumer is gone');
        const found: StoredMessage[] = [];
        for (const [sequence, message] of begun.messages) {
          if (sequence < next || sequence > through) continue;
          found.push(message);
          if (found.length === pageSize) break;
        }
        return found;
      });
      if (page.length > 0) yield page;
      if (page.length < pageSize) return;
      next = (page.at(-1)?.sequence ?? through) + 1;
    }
  }

  override onNudge(nudged: (tenantIds: string[]) => void): () => void {
    return this.bus.subscribe(this.process, 'tenantry.nudge', (_subject, { tenantId }) => nudged([tenantId]));
  }

  private ask<T>(work: () => T): Promise<T> {
    return this.process.ask(() => {
      if (!this.server.up) throw new Outage('the broker is away');
      return work();
    });
  }
}

/** What is wrong with what the stream holds of a log, once all is quiet; a line for each thing. */
export function streamFaults(server: SimulatedStream, tenantId: string, events: StoredEvent[]): string[] {
  const held = [...(server.stream?.messages.values() ?? [])].filter((message) => message.tenantId === tenantId);
  const faults: string[] = [];
  const last = new Map(held.map(({ position, eventId }) => [position, eventId]));
  for (const { position, id } of events) {
    const is = last.get(position);
    if (is !== id) faults.push(`${tenantId}: the stream has ${is ?? 'nothing'} at ${position}, not ${id}`);
  }
  return faults;
}

/** Where a log's order is broken by something that isn't published again. */
export function orderFaults(server: SimulatedStream, tenantId: string): string[] {
  const faults: string[] = [];
  let before = -1;
  for (const { tenantId: of, position, messageId } of server.stream?.messages.values() ?? []) {
    if (of !== tenantId || messageId !== `${tenantId}:${position}`) continue;
    if (position <= before) faults.push(`${tenantId}: ${position} was published after ${before}, and not as something again`);
    before = position;
  }
  return faults;
}
