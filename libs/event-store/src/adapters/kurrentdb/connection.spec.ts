import { describe, expect, it } from 'vitest';
import { connectKurrentDb } from './connection.js';
import { connectionFault, rewritten } from './connection-string.js';

describe('connection strings of KurrentDB', () => {
  it('are of both names, for a server or a cluster', () => {
    for (const url of [
      'esdb://127.0.0.1:2113?tls=false',
      'esdb://admin:chang%40it@a.example:2113,b.example:2113/?tls=true&tlsCAFile=/ca.pem',
      'esdb+discover://cluster.example:2113',
      'kurrentdb://kurrent.example',
      'kurrentdb+discover://cluster.example:2113?keepAliveInterval=20000',
    ]) {
      expect(connectionFault(url), url).toBeNull();
    }
  });

  it('are rewritten for the client, with a name and the leader as the node', () => {
    expect(rewritten('kurrentdb://h:1?tls=false', 'a b')).toBe('esdb://h:1?tls=false&connectionName=a%20b&nodePreference=leader');
    expect(rewritten('kurrentdb+discover://u:p@h', 'x')).toBe('esdb+discover://u:p@h?connectionName=x&nodePreference=leader');
    expect(rewritten('esdb://h?nodePreference=follower&connectionName=mine', 'x')).toBe(
      'esdb://h?nodePreference=follower&connectionName=mine',
    );
  });

  it('are refused without any part of them in the text', () => {
    for (const url of [
      'postgres://admin:secret@host',
      'esdb://admin:secret@host:port',
      'admin:secret@host',
      'esdb://admin:secret@',
      'esdb://admin:secret@host?throwOnAppendFailure=false',
      'esdb://admin:secret@host?tls=perhaps',
      'esdb://admin:secret@host?tlsCAFile=/not/there.pem',
    ]) {
      let text = '';
      try {
        connectKurrentDb(url, 'test');
      } catch (error) {
        text = String((error as Error).stack);
      }
      expect(text, url).toMatch(/TENANTRY_EVENTSTORE_URL/);
      expect(text).not.toMatch(/secret/);
    }
  });
});
