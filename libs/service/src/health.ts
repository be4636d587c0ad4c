import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '@tenantry/observability/logger';
import { exposition } from '@tenantry/observability/metrics';

/** Something of a service's own that must work before it is sent requests. Found among its providers. */
export abstract class ReadinessCheck {
  abstract readonly name: string;
  /** Rejects when it is not ready. */
  abstract check(): Promise<void>;
}

/** A further page of the health port, for operators and tests only: the port is never open to the world. Found among the providers. */
export abstract class HealthRoute {
  /** Such as `/outbox`. */
  abstract readonly path: string;
  abstract respond(query: URLSearchParams): Promise<{ contentType: string; body: string }>;
}

type Check = { name: string; check: () => Promise<void> };
const CHECK_TIMEOUT_MS = 2_000;

/** `/livez` (the process runs), `/readyz` (it can serve: 200 or 503 with what is missing), `/metrics`, and the service's own pages. */
export class HealthServer {
  private readonly server: Server;
  private checks: Check[] | null = null;
  private routes = new Map<string, HealthRoute>();

  constructor(private readonly logger: Logger) {
    this.server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://health');
      this.respond(url, response).catch((error) => {
        this.logger.error({ err: error, path: url.pathname }, 'a page of the health port failed');
        send(response, 500, 'text/plain', 'failed\n');
      });
    });
    this.server.keepAliveTimeout = 5_000;
  }

  /** From now on `/livez` answers; `/readyz` says `starting`. @returns the port */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, resolve);
    });
    return (this.server.address() as AddressInfo).port;
  }

  ready(checks: Check[], routes: HealthRoute[]): void {
    this.checks = checks;
    this.routes = new Map(routes.map((route) => [route.path, route]));
  }

  /** No more requests, please: the process is going. */
  notReady(): void {
    this.checks = null;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async respond(url: URL, response: ServerResponse): Promise<void> {
    switch (url.pathname) {
      case '/livez':
        return send(response, 200, 'text/plain', 'ok\n');
      case '/readyz': {
        const failures = await this.failures();
        const body = JSON.stringify(failures.length === 0 ? { status: 'ready' } : { status: 'not ready', failures });
        return send(response, failures.length === 0 ? 200 : 503, 'application/json', body);
      }
      case '/metrics': {
        const { contentType, text } = await exposition();
        return send(response, 200, contentType, text);
      }
      default: {
        const route = this.routes.get(url.pathname);
        if (!route) return send(response, 404, 'text/plain', 'not found\n');
        const { contentType, body } = await route.respond(url.searchParams);
        return send(response, 200, contentType, body);
      }
    }
  }

  private async failures(): Promise<{ name: string; reason: string }[]> {
    if (this.checks === null) return [{ name: 'process', reason: 'starting or going' }];
    const results = await Promise.all(
      this.checks.map(async ({ name, check }) => {
        try {
          await withTimeout(check());
          return null;
        } catch (error) {
          return { name, reason: error instanceof Error ? error.message : String(error) };
        }
      }),
    );
    return results.filter((failure) => failure !== null);
  }
}

async function withTimeout(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
  response.end(body);
}
