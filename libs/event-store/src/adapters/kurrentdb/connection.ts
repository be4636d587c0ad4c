import { EventStoreDBClient } from '@eventstore/db-client';

const schemes = new Map([
  ['esdb', 'esdb'],
  ['esdb+discover', 'esdb+discover'],
  ['kurrentdb', 'esdb'],
  ['kurrentdb+discover', 'esdb+discover'],
]);

const usage = 'give esdb://host:port or esdb+discover://name:port (kurrentdb:// is the same), with ?tls=false for a server without TLS';

/** What is wrong with a connection string, without any part of it (it may hold a password); null where nothing is. */
export function connectionFault(url: string): string | null {
  const scheme = /^([a-z+]+):\/\//.exec(url)?.[1];
  if (scheme === undefined || !schemes.has(scheme)) return `is not a connection string of KurrentDB: ${usage}`;
  // An append that is refused must never look like one that was done.
  if (/[?&]throw[_-]?on[_-]?append[_-]?failure=/i.test(url)) return 'must not set throwOnAppendFailure';
  try {
    // Connects to nothing yet.
    EventStoreDBClient.connectionString(rewritten(url, 'check'));
    return null;
  } catch (error) {
    // The client's own text repeats the string; that a certificate's file is missing is said by it alone.
    const missing = error instanceof Error && /certificate/i.test(error.message);
    return missing ? `names a certificate file that is not there` : `cannot be read: ${usage}`;
  }
}

/**
 * A client of the server or cluster: it finds the leader, keeps connections alive (10 s unless the string says otherwise) and makes a new
 * one where one broke. @throws Error without the string
 */
export function connectKurrentDb(url: string, name: string): EventStoreDBClient {
  const fault = connectionFault(url);
  if (fault !== null) throw new Error(`The connection string of KurrentDB ${fault}`);
  return EventStoreDBClient.connectionString(rewritten(url, name));
}

function rewritten(url: string, name: string): string {
  const [scheme = '', rest = ''] = url.trim().split('://', 2);
  let text = `${schemes.get(scheme)}://${rest.replace(/\/+(?=\?|$)/, '')}`;
  const add = (option: string, value: string) => {
    if (new RegExp(`[?&]${option}=`, 'i').test(text)) return;
    text += `${text.includes('?') ? '&' : '?'}${option}=${value}`;
  };
  add('connectionName', encodeURIComponent(name));
  // Everything here needs the leader; any other node would send each call on to it.
  add('nodePreference', 'leader');
  return text;
}

/** Credentials of the connection string, if it has any. */
export function credentialsOf(url: string): { username: string; password: string } | undefined {
  const match = /^[a-z+]+:\/\/([^:/?#]+):([^@/?#]+)@/.exec(url);
  return match ? { username: decodeURIComponent(match[1] as string), password: decodeURIComponent(match[2] as string) } : undefined;
}
