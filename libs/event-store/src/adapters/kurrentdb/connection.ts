import { EventStoreDBClient } from '@eventstore/db-client';
import { connectionFault, connectionStrings, rewritten } from './connection-string.js';

/**
 * A client of the server or cluster. It connects when it is used, finds the leader, keeps connections alive (10 s unless the string says
 * otherwise) and makes a new one where one broke. @throws Error that repeats no part of the string
 */
export function connectKurrentDb(url: string, name: string): EventStoreDBClient {
  const fault = connectionFault(url);
  if (fault !== null) throw new Error(`TENANTRY_EVENTSTORE_URL ${fault}: give ${connectionStrings}`);
  try {
    return EventStoreDBClient.connectionString(rewritten(url, name));
  } catch (error) {
    // The client's own text repeats the string, password included, unless it is about a file.
    const about = error instanceof Error && /certificate|userCertFile/i.test(error.message) ? error.message : `give ${connectionStrings}`;
    throw new Error(`TENANTRY_EVENTSTORE_URL cannot be used: ${about}`);
  }
}
