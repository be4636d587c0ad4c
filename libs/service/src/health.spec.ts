import { silentLogger } from '@tenantry/observability/logger';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HealthRoute, HealthServer } from './health.js';

let health: HealthServer;
let url: string;
beforeEach(async () => {
  health = new HealthServer(silentLogger);
  url = `http://127.0.0.1:${await health.listen('127.0.0.1', 0)}`;
});
afterEach(() => health.close());
const ask = async (path: string) => {
  const response = await fetch(url + path);
  return { status: response.status, text: await response.text() };
};

class Hello extends HealthRoute {
  override readonly path = '/hello';
  override respond = async (query: URLSearchParams) => ({ contentType: 'text/plain', body: `hello ${query.get('name')}` });
}

describe('the health port', () => {
  it('says that the process lives before it is ready', async () => {
    expect(await ask('/livez')).toMatchObject({ status: 200 });
    expect(await ask('/readyz')).toMatchObject({ status: 503 });
  });
  it('is ready when every check passes, and says which does not', async () => {
    let away = false;
    health.ready(
      [
        { name: 'nats', check: async () => undefined },
        { name: 'postgres', check: () => (away ? Promise.reject(new Error('away')) : Promise.resolve()) },
      ],
      [],
    );
    expect(await ask('/readyz')).toMatchObject({ status: 200 });
    away = true;
    expect(await ask('/readyz')).toMatchObject({ status: 503, text: expect.stringContaining('{"name":"postgres","reason":"away"}') });
    health.notReady();
    away = false;
    expect(await ask('/readyz')).toMatchObject({ status: 503 });
  });
  it('shows metrics, the pages of its service, and nothing else', async () => {
    health.ready([], [new Hello()]);
    expect((await ask('/metrics')).text).toContain('# HELP');
    expect(await ask('/hello?name=Ada')).toEqual({ status: 200, text: 'hello Ada' });
    expect(await ask('/other')).toMatchObject({ status: 404 });
  });
});
