import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { BACKWARDS, END, type EventStoreDBClient } from '@eventstore/db-client';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { AppendedEnds } from './appended-ends.js';
import { connectKurrentDb } from './connection.js';
import { Follower, type FollowerOptions } from './follower.js';
import { KurrentDbEventStore, type KurrentDbEventStoreOptions } from './kurrentdb-event-store.js';

/** The server that the tests run against. They share it with others: each uses logs of its own. */
export const kurrentDbUrl = process.env['TENANTRY_TEST_KURRENTDB_URL'];
if (!kurrentDbUrl) console.log('KurrentDB: skipped, TENANTRY_TEST_KURRENTDB_URL names no server');

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** The server behind a proxy that can lose its replies, or go away. */
export class LossyProxy {
  private readonly sockets = new Set<Socket>();
  /** What the server sends is thrown away, and the connection is cut soon after. */
  losesReplies = false;
  private readonly server: Server;

  private constructor(private readonly target: { host: string; port: number }) {
    this.server = createServer((client) => this.join(client));
  }

  static async start(url: string): Promise<LossyProxy> {
    const [, host = '', port = ''] = /:\/\/(?:[^@/]*@)?([^:,/?]+):(\d+)/.exec(url) ?? [];
    const proxy = new LossyProxy({ host, port: Number(port) });
    await proxy.listen(0);
    return proxy;
  }

  /** The same connection string, through here. */
  through(url: string): string {
    return url.replace(`${this.target.host}:${this.target.port}`, `127.0.0.1:${this.port}`);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private join(client: Socket): void {
    const server = connect(this.target);
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      // One end's loss is the other's end; that is all there is to a proxy's errors.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (data) => server.write(data));
    server.on('data', (data) => {
      if (!this.losesReplies) client.write(data);
      else setTimeout(() => client.destroy(), 50);
    });
  }
}

/** A database for the copy, stores on it, and followers. Begins at the end of what others have written. */
export class CopyForTest {
  private readonly pools: pg.Pool[] = [];
  private readonly clients: EventStoreDBClient[] = [];
  private readonly followers: Follower[] = [];
  readonly appended = new AppendedEnds();

  private constructor(
    readonly postgres: RunningPostgres,
    private readonly url: string,
  ) {}

  static async start(url: string): Promise<CopyForTest> {
    const test = new CopyForTest(await startPostgres(), url);
    const pool = test.pool();
    const folder = new URL('../../../migrations/', import.meta.url);
    for (const file of (await readdir(folder)).sort()) await pool.query(await readFile(new URL(file, folder), 'utf8'));
    await pool.query(
      `CREATE ROLE tenantry_provisioning LOGIN PASSWORD 'secret' IN ROLE tenantry_services;
       ALTER ROLE tenantry_relay LOGIN PASSWORD 'secret'; GRANT tenantry_services TO tenantry_relay`,
    );
    await test.beginAtEnd();
    return test;
  }

  /** The next follower begins at the end of `$all`, and notes nothing as copied. */
  async beginAtEnd(): Promise<void> {
    let end: { commit: bigint; prepare: bigint } | undefined;
    for await (const { event } of this.client().readAll({ fromPosition: END, direction: BACKWARDS, maxCount: 1 })) end = event?.position;
    await this.pool().query('UPDATE log.copier SET commit_position = $1, prepare_position = $2', [
      String(end?.commit ?? 0),
      String(end?.prepare ?? 0),
    ]);
  }

  /** As one of the logins, or as the superuser. */
  pool(login?: string): pg.Pool {
    const url = new URL(this.postgres.url);
    if (login) {
      url.username = login;
      url.password = 'secret';
    }
    const pool = new pg.Pool({ connectionString: url.href, max: 4 });
    // Tests end backends on purpose; an idle client's loss is no fault.
    pool.on('error', () => undefined);
    this.pools.push(pool);
    return pool;
  }

  client(url = this.url): EventStoreDBClient {
    const client = connectKurrentDb(url, `test-${randomUUID()}`);
    this.clients.push(client);
    return client;
  }

  /** A store as another process has it; `appended` shared, so that all of them wait for each other's appends to be copied. */
  store(options: KurrentDbEventStoreOptions = {}, url = this.url): KurrentDbEventStore {
    return new KurrentDbEventStore(this.client(url), this.pool('tenantry_provisioning'), {
      ownWritesMs: 20_000,
      appended: this.appended,
      ...options,
    });
  }

  follow(onCopied: (tenantIds: string[]) => void = () => undefined, options: Partial<FollowerOptions> = {}, url = this.url): Follower {
    const follower = new Follower({
      client: this.client(url),
      pool: this.pool('tenantry_relay'),
      owner: randomUUID(),
      logger: quiet,
      onCopied,
      options,
    });
    this.followers.push(follower);
    follower.start();
    return follower;
  }

  async stop(): Promise<void> {
    await Promise.all(this.followers.map((follower) => follower.stop()));
    await Promise.all(this.clients.map((client) => client.dispose()));
    await Promise.all(this.pools.map((pool) => pool.end()));
    await this.postgres.stop();
  }
}
