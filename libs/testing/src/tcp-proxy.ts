import { createServer, type Socket, connect as tcpConnect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What becomes of a chunk: other bytes in its place, a later moment (what follows waits behind it), the end of the connection on both
 * sides with a reset, or silence: the connection stays open, and nothing passes through it in either direction any more.
 */
export type Verdict = Buffer | { delayMs: number } | 'pass' | 'reset' | 'silence';

/** One connection through the proxy, seen from there. */
export interface Link {
  toServer?(chunk: Buffer): Verdict;
  toClient?(chunk: Buffer): Verdict;
}

export interface TcpProxy extends AsyncDisposable {
  port: number;
  /** How many connections go through it now. */
  connections(): number;
  stop(): Promise<void>;
}

export interface TcpProxyOptions {
  /** Of the server, on 127.0.0.1; asked at each connection, which waits for it. */
  target: () => number | Promise<number>;
  /** Called for each new connection. Without it everything passes. */
  link?: () => Link;
}

/** A port of 127.0.0.1 in front of a server's, which can do to connections what networks do. */
export async function startTcpProxy({ target, link = () => ({}) }: TcpProxyOptions): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.once('close', () => sockets.delete(client));
    client.on('error', () => undefined); // 'close' follows, and ends the other side
    client.pause();
    void Promise.resolve(target()).then(
      (port) => {
        if (client.destroyed) return;
        const upstream = tcpConnect({ port, host: '127.0.0.1', noDelay: true });
        join(client, upstream, link());
      },
      () => client.resetAndDestroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const stop = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { port: address.port, connections: () => sockets.size, stop, [Symbol.asyncDispose]: stop };
}

function join(client: Socket, upstream: Socket, link: Link): void {
  let silent = false;
  client.setNoDelay(true);
  upstream.on('error', () => undefined); // 'close' follows, and ends the other side
  client.once('close', () => upstream.destroy());
  upstream.once('close', () => {
    if (!silent) client.destroy();
  });
  const reset = () => {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
  };
  const carry = (from: Socket, to: Socket, judge: ((chunk: Buffer) => Verdict) | undefined) => {
    from.on('data', async (chunk: Buffer) => {
      if (silent) return;
      const verdict = judge?.(chunk) ?? 'pass';
      if (verdict === 'reset') return reset();
      if (verdict === 'silence') {
        silent = true;
        return;
      }
      if (!Buffer.isBuffer(verdict) && verdict !== 'pass') {
        from.pause();
        await sleep(verdict.delayMs);
        from.resume();
      }
      if (silent || to.destroyed) return;
      // A slow reader slows the writer down, as without a proxy.
      if (!to.write(Buffer.isBuffer(verdict) ? verdict : chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.once('end', () => {
      if (!silent) to.end();
    });
  };
  carry(client, upstream, link.toServer?.bind(link));
  carry(upstream, client, link.toClient?.bind(link));
  client.resume();
}
