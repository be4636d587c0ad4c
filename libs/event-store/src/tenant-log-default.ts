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
import { bodyHash } from './hash.js';
import { type EncryptPersonal, personalFields } from './personal-fields.js';
import type { EventStore, Head, LogSlice, PreparedEvent, StreamSlice } from './port.js';
import { type Assumed, type SystemCommand, type Target, TenantLog, type Transacted } from './tenant-log.js';

const MAX_TRIES = 20;

/** The one implementation of `TenantLog`, on any `EventStore` and any `Keyring`. */
export class DefaultTenantLog extends TenantLog {
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

  override async transact<State, Set extends EventSet>(
    of: Aggregate<State, Set>,
    target: Target,
    decide: Decision<State, Set>,
    assumed?: Assumed<State>,
  ): Promise<Transacted<State, Set>> {
    type Event = Stored<EventOf<Set>>;
    const { tenant, command } = target;
    const stream = target.stream ?? of.stream;
    let state = of.initial;
    let version = -1;
    let position = -1;
    if (assumed && !(isRequest(command) && command.ifMatch !== undefined)) {
      const first = await this.onBelief(of, target, decide, assumed);
      if (first) return first;
    }
    for (let tries = 1; ; tries++) {
      // After a conflict only what is new is read; what was read before has not changed.
      const slice = await this.store.readStream(tenant, stream, { fromVersion: version + 1, commandId: command.id });
      if (slice.command) return this.repeated(of, target, slice.command);
      state = fold(of, slice.events as Event[], state);
      version += slice.events.length;
      position = slice.events.at(-1)?.position ?? position;
      if (isRequest(command) && command.ifMatch !== undefined && command.ifMatch !== version) {
        throw new DomainError('precondition.failed', { detail: `The resource is at version ${version}, not ${command.ifMatch}` });
      }
      const decided = decide(state);
      if (decided.length === 0) return { state, events: [], version, position, repeated: false };
      const done = await this.append(of, target, { state, version }, decided);
      if (done === 'repeated') continue; // by somebody else, since we looked
      if (done !== 'conflict') return done;
      if (tries >= MAX_TRIES) throw new DomainError('log.conflict');
      // Spreads those that collided; the log itself does the waiting.
      if (tries > 1) await this.pause(Math.min(tries, 10) * 2);
    }
  }

  /** One try without reading; null where the belief was wrong, or cannot be told from wrong: a refusal, or nothing to append. */
  private async onBelief<State, Set extends EventSet>(
    of: Aggregate<State, Set>,
    target: Target,
    decide: Decision<State, Set>,
    assumed: Assumed<State>,
  ): Promise<Transacted<State, Set> | null> {
    let decided: EventOf<Set>[];
    try {
      decided = decide(assumed.state);
    } catch (error) {
      if (error instanceof DomainError) return null;
      throw error;
    }
    if (decided.length === 0) return null;
    const done = await this.append(of, target, assumed, decided);
    return done === 'repeated' || done === 'conflict' ? null : done;
  }

  private async append<State, Set extends EventSet>(
    of: Aggregate<State, Set>,
    { tenant, stream = of.stream, command }: Target,
    { state, version }: Assumed<State>,
    decided: EventOf<Set>[],
  ): Promise<Transacted<State, Set> | 'repeated' | 'conflict'> {
    const { events, requestHmac } = await this.prepare(of.events, tenant, stream, command, decided);
    try {
      const result = await this.store.append({
        tenantId: tenant,
        commandId: command.id,
        requestHmac,
        stream,
        expectedVersion: version,
        events,
      });
      if (result.outcome === 'repeated') return 'repeated';
      const appended = result.events as Stored<EventOf<Set>>[];
      return {
        state: fold(of, appended, state),
        events: appended as Transacted<State, Set>['events'],
        version: version + appended.length,
        position: appended.at(-1)?.position ?? -1,
        repeated: false,
      };
    } catch (error) {
      if (error instanceof DomainError && error.code === 'log.conflict') return 'conflict';
      throw error;
    }
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
    tenantId: string,
    stream: string,
    command: CommandContext | SystemCommand,
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
      return { ...body, bodyHash: bodyHash({ tenantId, stream, ...body }) };
    });
    return { events, requestHmac: isRequest(command) ? hmacWith(keyOf(keys, 'requests'), 'requests', command.requestHash) : null };
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
