import type { StoredEvent } from '@tenantry/contracts/events';

/** What the broker's stream of events looks like now. */
export interface StreamState {
  /** Another time of creation is another stream. */
  created: string;
  /** Of the oldest message that is kept; one more than `lastSequence` where none is. */
  firstSequence: number;
  /** Of the newest message that was ever stored. */
  lastSequence: number;
  /** Messages that are gone from between the first and the last. */
  deleted: number;
  /** Of a cluster: which server leads the stream. Empty where there is one server only. */
  leader: string;
}

/** What is known of a stored message without its body. */
export interface StoredMessage {
  sequence: number;
  tenantId: string;
  position: number;
  eventId: string;
}

export interface Acknowledgement {
  /** Of the message that the stream has under this message id. */
  sequence: number;
  /** The stream knew the message id and has stored nothing. */
  duplicate: boolean;
}

export interface OutgoingMessage {
  event: StoredEvent;
  body: Uint8Array;
  messageId: string;
}

/** The stream of published events. What the broker acknowledges is not yet safe: it may lose its disk, or be told to forget. */
export abstract class Broker {
  /** Names the connection of now: another name, and messages may have been lost or renumbered in between. */
  abstract connection(): string;
  /** Makes the stream, or brings it to what it should be. @throws MissingGuarantee where the broker doesn't keep what it promises */
  abstract ensureStream(): Promise<StreamState>;
  /** null where there is no stream. */
  abstract state(): Promise<StreamState | null>;
  /** Resolves with the acknowledgement; messages of one caller are stored in the order of the calls. */
  abstract publish(message: OutgoingMessage): Promise<Acknowledgement>;
  /** null where the stream has no such message, or one that is no event of a log. */
  abstract message(sequence: number): Promise<StoredMessage | null>;
  /** All events that it holds between two sequences, both included, in its order, in pages; without their bodies. */
  abstract scan(from: number, through: number): AsyncIterable<StoredMessage[]>;
  /** Logs that somebody says have grown. @returns ends it */
  abstract onNudge(nudged: (tenantIds: string[]) => void): () => void;
}
