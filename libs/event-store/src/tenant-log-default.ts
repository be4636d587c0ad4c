import { setTimeout as sleep } from 'node:timers/promises';
import { eventTypes } from '@tenantry/contracts/catalogue';
import type { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { Actor, EventDefinition, EventMetadata, EventOf, EventSet, Stored, StoredEvent } from '@tenantry/contracts/events';
import { derivedId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import { hmacWith, seal } from '@tenantry/crypto/envelope';
import type { DataKey, Keyring } from '@tenantry/crypto/keyring';
import type { Aggregate, Decision } from './aggregate.js';
import { fold } from './aggregate.js';
import { type Body, bodyHash } from './hash.js';
import { type Base, type Lane, Lanes } from './lanes.js';
import { unholdable } from './limits.js';
import { type EncryptPersonal, personalFields } from './personal-fields.js';
import type { EventStore, Head, LogSlice, PreparedEvent, StreamSlice } from './port.js';
import { type Assumed, type SystemCommand, type Target, TenantLog, type Transacted } from './tenant-log.js';

const MAX_TRIES = 20;
/** Streams whose last state is kept, beside those that somebody is deciding on. */
const MAX_REMEMBERED = 500;

/** The one implementation of `TenantLog`, on any `EventStore` and any `Keyring`. */
export class DefaultTenantLog extends TenantLog {
  private readonly lanes = new Lanes(MAX_REMEMBERED);

  constructor(
    private readonly store: EventStore,
    private readonly keyring: Keyring,
    /** Not read: an event's time is the log's own, under the lock of its head. */
    _clock?: Clock,
    /** Waits after a collision, for a random part of `ms`. Other than the real one: only simulations give it. */
    private readonly pause: (ms: number) => Promise<void> = (ms) => sleep(Math.random() * ms),
  ) {
    super();
  }

  /** Streams that somebody is deciding on, and those whose last state is kept: what this object holds in memory. */
  get streams(): { inUse: number; idle: number } {
    return this.lanes.size;
  }

  override transact<State, Set extends EventSet>(
    of: Aggregate<State, Set>,
    target: Target,
    decide: Decision<State, Set>,
    assumed?: Assumed<State>,
  ): Promise<Transacted<State, Set>> {
    return this.lanes.within(target.tenant, target.stream ?? of.stream, async (lane) => {
      for (let tries = 1; ; tries++) {
        const step = await this.step(lane, of, target, decide, tries === 1 ? assumed : undefined);
        if ('done' in step) return step.done;
        const result = await step.appending;
        if (typeof result === 'object') return result;
        if (result === 'repeated') {
          const { command } = await this.store.readStream(target.tenant, target.stream ?? of.stream, {
            fromVersion: Number.MAX_SAFE_INTEGER,
            commandId: target.command.id,
          });
          if (command) return this.repeated(of, target, command);
        }
        if (tries >= MAX_TRIES) throw new DomainError('log.conflict');
        // Spreads those that collided; the log itself does the waiting.
        if (tries > 1) await this.pause(Math.min(tries, 10) * 2);
      }
    });
  }

  /**
   * One command's turn: what is certain at once, or an append that is under way when the turn goes on to the next command,
   * which decides on what this one will leave. A refusal, and nothing to append, are said only on what the log has.
   */
  private async step<State, Set extends EventSet>(
    lane: Lane,
    of: Aggregate<State, Set>,
    target: Target,
    decide: Decision<State, Set>,
    assumed: Assumed<State> | undefined,
  ): Promise<{ done: Transacted<State, Set> } | { appending: Promise<Transacted<State, Set> | 'repeated' | 'conflict'> }> {
    const { command } = target;
    const endTurn = await lane.turn();
    try {
      let base = lane.ahead<State>(of) ?? (assumed ? { of, ...assumed, lastEventId: undefined, position: -1 } : null);
      let decided = base && tentatively(base, command, decide);
      if (!base || !decided) {
        await lane.settled();
        const truth = await this.readOn(lane, of, target);
        if ('stream' in truth) return { done: await this.repeated(of, target, truth) };
        base = truth;
        demandVersion(command, truth.version);
        decided = decide(truth.state);
        if (decided.length === 0) {
          return { done: { state: truth.state, events: [], version: truth.version, position: truth.position, repeated: false } };
        }
      }
      const appending = this.append(
        lane,
        of,
        target,
        base,
        await this.prepare(of.events, { ...target, stream: target.stream ?? of.stream }, decided),
      );
      return { appending };
    } finally {
      endTurn();
    }
  }

  /** The stream as the log has it now, from what is known of it on; or the command, where its id is known. */
  private async readOn<State, Set extends EventSet>(
    lane: Lane,
    of: Aggregate<State, Set>,
    { tenant, stream = of.stream, command }: Target,
  ): Promise<Base<State> | NonNullable<StreamSlice['command']>> {
    const known = lane.known<State>(of);
    // The last event that is known comes again: where another one is in its place, the log is another one now (a restore).
    const after = known && { fromVersion: Math.max(known.version, 0), commandId: command.id };
    let from = known ?? { of, state: of.initial, version: -1, lastEventId: undefined, position: -1 };
    let slice = await this.store.readStream(tenant, stream, after ?? { commandId: command.id });
    if (slice.command) return slice.command;
    if (from.version >= 0) {
      const [overlap, ...events] = slice.events;
      if (overlap?.id === from.lastEventId) slice = { ...slice, events };
      else {
        from = { of, state: of.initial, version: -1, lastEventId: undefined, position: -1 };
        slice = await this.store.readStream(tenant, stream, { commandId: command.id });
        if (slice.command) return slice.command;
      }
    }
    const last = slice.events.at(-1);
    const base = last
      ? {
          of,
          state: fold(of, slice.events as Stored<EventOf<Set>>[], from.state),
          version: last.streamVersion,
          lastEventId: last.id,
          position: last.position,
        }
      : from;
    lane.saw(base);
    return base;
  }

  private append<State, Set extends EventSet>(
    lane: Lane,
    of: Aggregate<State, Set>,
    { tenant, stream = of.stream, command }: Target,
    base: Base<State>,
    { events, requestHmac }: { events: PreparedEvent[]; requestHmac: string | null },
  ): Promise<Transacted<State, Set> | 'repeated' | 'conflict'> {
    const appending = this.store
      .append({
        tenantId: tenant,
        commandId: command.id,
        requestHmac,
        stream,
        expectedVersion: base.version,
        ...(base.lastEventId !== undefined && { expectedEventId: base.lastEventId }),
        events,
      })
      .then(
        (result): Transacted<State, Set> | 'repeated' => {
          if (result.outcome === 'repeated') return 'repeated';
          const appended = result.events as Stored<EventOf<Set>>[];
          const last = appended.at(-1);
          const state = fold(of, appended, base.state);
          const version = base.version + appended.length;
          const position = last?.position ?? -1;
          lane.confirm({ of, state, version, lastEventId: last?.id, position });
          return { state, events: appended as Transacted<State, Set>['events'], version, position, repeated: false };
        },
        (error: unknown): 'conflict' => {
          if (error instanceof DomainError && error.code === 'log.conflict') return 'conflict';
          throw error;
        },
      );
    lane.follow(appending, ahead(of, base, tenant, stream, events), (result) => typeof result === 'object');
    return appending;
  }

  override async load<State, Set extends EventSet>(
    of: Aggregate<State, Set>,
    at: { tenant: string; stream?: string },
  ): Promise<{ state: State; version: number; position: number; events: StoredEvent[] }> {
    const { events } = await this.store.readStream(at.tenant, at.stream ?? of.stream);
    const last = events.at(-1);
    return {
      state: fold(of, events as Stored<EventOf<Set>>[]),
      version: last?.streamVersion ?? -1,
      position: last?.position ?? -1,
      events,
    };
  }

  override readLog(tenantId: string, from: number, options?: { types?: readonly string[]; limit?: number }): Promise<LogSlice> {
    return this.store.readLog(tenantId, from, options);
  }

  override heads(options?: { tenantIds?: readonly string[]; after?: string; limit?: number }): Promise<Head[]> {
    return this.store.heads(options);
  }

  /** The first result of a command, on whichever stream it was. */
  private async repeated<State, Set extends EventSet>(
    of: Aggregate<State, Set>,
    { tenant, command }: Target,
    known: NonNullable<StreamSlice['command']>,
  ): Promise<Transacted<State, Set>> {
    const requestHmac = isRequest(command) ? await this.keyring.hmac(tenant, 'requests', command.requestHash) : null;
    if (requestHmac !== known.requestHmac) throw new DomainError('idempotency.mismatch');
    const { events } = await this.store.readStream(tenant, known.stream);
    const until = events.filter(({ position }) => position <= known.lastPosition);
    return {
      state: fold(of, until as Stored<EventOf<Set>>[]),
      events: until.filter(({ position }) => position >= known.firstPosition) as Transacted<State, Set>['events'],
      version: until.at(-1)?.streamVersion ?? -1,
      position: known.lastPosition,
      repeated: true,
    };
  }

  private async prepare(
    set: EventSet,
    { tenant: tenantId, stream, command }: Target & { stream: string },
    decided: { type: string; data: unknown }[],
  ): Promise<{ events: PreparedEvent[]; requestHmac: string | null }> {
    const planned = decided.map((event) => plan(set, event));
    const principal =
      isRequest(command) && (command.ip !== undefined || command.userAgent !== undefined) ? `principal-${command.principal.id}` : null;
    const subjects = new Set(planned.flatMap(({ subject }) => subject ?? []));
    if (isRequest(command)) subjects.add('requests');
    if (principal !== null) subjects.add(principal);
    // One question for all keys; none where nothing is encrypted.
    const keys = subjects.size > 0 ? await this.keyring.keys(tenantId, [...subjects]) : new Map<string, DataKey>();
    const encrypt = (subject: string) => (clear: unknown) => seal(keyOf(keys, subject), { tenantId, subject }, clear);

    const metadata = metadataOf(command, principal === null ? null : encrypt(principal));
    const events = planned.map(({ type, definition, context, data, subject, fields }, index): PreparedEvent => {
      const body = {
        id: derivedId('event', tenantId, command.id, index),
        context,
        type,
        version: definition.version,
        data: fields && subject !== null ? fields(data, encrypt(subject)) : data,
        metadata,
      };
      return { ...body, bodyHash: hashed({ tenantId, stream, ...body }) };
    });
    return { events, requestHmac: isRequest(command) ? hmacWith(keyOf(keys, 'requests'), 'requests', command.requestHash) : null };
  }
}

/** What is decided where the stream is only believed to be so; null where only the log can say. */
function tentatively<State, Set extends EventSet>(
  base: Base<State>,
  command: Target['command'],
  decide: Decision<State, Set>,
): EventOf<Set>[] | null {
  if (isRequest(command) && command.ifMatch !== undefined && command.ifMatch !== base.version) return null;
  try {
    const decided = decide(base.state);
    return decided.length === 0 ? null : decided;
  } catch (error) {
    if (error instanceof DomainError) return null;
    throw error;
  }
}

function demandVersion(command: Target['command'], version: number): void {
  if (isRequest(command) && command.ifMatch !== undefined && command.ifMatch !== version) {
    throw new DomainError('precondition.failed', { detail: `The resource is at version ${version}, not ${command.ifMatch}` });
  }
}

/** Thrown where a state depends on what only the log knows. */
const notYet = Symbol('only the log knows');
const unknown = {
  enumerable: true,
  get: () => {
    throw notYet;
  },
};
const unknowns = { position: unknown, recordedAt: unknown, leaf: unknown, previousInContext: unknown };

/** The stream once the events have been appended; null where its state depends on their position or time. */
function ahead<State, Set extends EventSet>(
  of: Aggregate<State, Set>,
  base: Base<State>,
  tenantId: string,
  stream: string,
  events: PreparedEvent[],
): Base<State> | null {
  const expected = events.map((event, index) =>
    Object.defineProperties({ ...event, tenantId, stream, streamVersion: base.version + 1 + index }, unknowns),
  );
  try {
    const state = fold(of, expected as unknown as Stored<EventOf<Set>>[], base.state);
    return { of, state, version: base.version + events.length, lastEventId: events.at(-1)?.id, position: -1 };
  } catch (error) {
    if (error === notYet) return null;
    throw error;
  }
}

/** @throws DomainError `request.invalid` with the field, where JSON cannot hold the text in it */
function hashed(body: Body): string {
  try {
    return bodyHash(body);
  } catch (error) {
    if (error instanceof DomainError) throw error;
    throw unholdable({ data: body.data, metadata: body.metadata });
  }
}

const isRequest = (command: CommandContext | SystemCommand): command is CommandContext => 'requestHash' in command;

function keyOf(keys: Map<string, DataKey>, subject: string): DataKey {
  const key = keys.get(subject);
  if (!key) throw new Error(`the keyring gave no key for ${subject}`);
  return key;
}

function metadataOf(command: CommandContext | SystemCommand, encrypt: ((clear: unknown) => { enc: string }) | null): EventMetadata {
  const common = { commandId: command.id, actor: actorOf(command), traceparent: command.traceparent, correlationId: command.correlationId };
  const own = isRequest(command)
    ? {
        ip: command.ip === undefined ? undefined : encrypt?.(command.ip),
        userAgent: command.userAgent === undefined ? undefined : encrypt?.(command.userAgent),
      }
    : { causationId: command.causationId };
  // What is undefined is left out, as it will be in the stored JSON.
  return Object.fromEntries(Object.entries({ ...common, ...own }).filter(([, value]) => value !== undefined)) as unknown as EventMetadata;
}

function actorOf(command: CommandContext | SystemCommand): Actor {
  if (!isRequest(command)) return command.actor;
  const { kind, id } = command.principal;
  return kind === 'anonymous' ? { kind: 'system', id: 'anonymous' } : { kind, id };
}

interface Planned {
  type: string;
  context: EventSet['context'];
  definition: EventDefinition;
  data: unknown;
  /** The data subject, where there is something to encrypt. */
  subject: string | null;
  fields: EncryptPersonal | null;
}

/** What a decision gave, checked against the event's schema. A mismatch is a fault of the program: `internal.error`. */
function plan(set: EventSet, { type, data }: { type: string; data: unknown }): Planned {
  const definition = set.types[type];
  const context = definition ? set.context : eventTypes.get(type)?.context;
  const known = definition ?? eventTypes.get(type);
  if (!known || !context) throw new DomainError('internal.error', { cause: new Error(`a decision gave an event of unknown type ${type}`) });
  const checked = known.data.safeParse(data);
  if (!checked.success) {
    // Paths and rules only: the values may be personal.
    const faults = checked.error.issues.map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.code}`).join(', ');
    throw new DomainError('internal.error', { cause: new Error(`a decision gave ${type} that is not valid: ${faults}`) });
  }
  const fields = personalOf(known);
  if (fields && !known.subject) throw new DomainError('internal.error', { cause: new Error(`${type} has personal fields and no subject`) });
  return {
    type,
    context,
    definition: known,
    data: checked.data,
    subject: fields && known.subject && holdsClear(fields, checked.data) ? known.subject(checked.data) : null,
    fields,
  };
}

/** Is there something left to encrypt? Values taken over from another event are encrypted already: no key is asked for. */
function holdsClear(fields: EncryptPersonal, data: unknown): boolean {
  let clear = false;
  fields(data, () => {
    clear = true;
    return { enc: '' };
  });
  return clear;
}

const walked = new WeakMap<EventDefinition['data'], { fields: EncryptPersonal | null }>();
function personalOf({ data }: EventDefinition): EncryptPersonal | null {
  let known = walked.get(data);
  if (!known) {
    known = { fields: personalFields(data) };
    walked.set(data, known);
  }
  return known.fields;
}
