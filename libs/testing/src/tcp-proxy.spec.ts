import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Link, startTcpProxy, type TcpProxy } from './tcp-proxy.js';

describe('a proxy between a client and a server that answers the same', () => {
  let server: Server;
  let heard = '';
  let proxy: TcpProxy | undefined;
  beforeEach(async () => {
    heard = '';
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data) => {
        heard += data;
        socket.write(data);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    await proxy?.stop();
    server.close();
  });

  const through = async (link?: () => Link): Promise<Socket> => {
    proxy = await startTcpProxy({ target: () => (server.address() as AddressInfo).port, link });
    const client = connect(proxy.port, '127.0.0.1');
    await once(client, 'connect');
    return client;
  };
  const answer = async (client: Socket) => String((await once(client, 'data'))[0]);

  it('lets everything pass that nobody objects to', async () => {
    const client = await through();
    client.write('one');
    expect(await answer(client)).toBe('one');
    expect(proxy?.connections()).toBe(1);
    client.destroy();
  });

  it('resets after the server has heard and before the client has', async () => {
    const client = await through(() => ({ toClient: () => 'reset' }));
    client.write('commit');
    const [error] = await once(client, 'error').catch((thrown: Error) => [thrown]);
    expect(error).toMatchObject({ code: 'ECONNRESET' });
    expect(heard).toBe('commit');
  });

  it('puts other bytes in their place', async () => {
    const client = await through(() => ({ toServer: (chunk) => Buffer.from(String(chunk).toUpperCase()) }));
    client.write('loud');
    expect(await answer(client)).toBe('LOUD');
    client.destroy();
  });

  it('delays, and keeps the order', async () => {
    const delays = [60, 0];
    const client = await through(() => ({ toClient: () => ({ delayMs: delays.shift() ?? 0 }) }));
    const begunMs = performance.now();
    client.write('a');
    await sleep(20);
    client.write('b');
    let got = '';
    while (got.length < 2) got += await answer(client);
    expect(got).toBe('ab');
    expect(performance.now() - begunMs).toBeGreaterThanOrEqual(55);
    client.destroy();
  });

  it('falls silent, with the connection open', async () => {
    const client = await through(() => ({ toServer: () => 'silence' }));
    let ended = false;
    client.once('close', () => {
      ended = true;
    });
    client.write('hello?');
    await sleep(100);
    expect([heard, ended]).toEqual(['', false]);
    client.destroy();
  });
});
