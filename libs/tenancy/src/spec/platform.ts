import { randomUUID } from 'node:crypto';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { AppSessions } from '../app-sessions.js';
import { type LoginKeys, urlFor } from '../login-secret.js';
import { migrate } from '../migrate.js';
import { serviceNames } from '../migration-files.js';
import { BLUEPRINTS } from '../names.js';
import type { AppContext } from '../place-context.js';

export interface Platform {
  server: RunningPostgres;
  /** Superuser on the control-plane database. */
  admin: pg.Client;
  passwords: Record<string, string>;
  places: AppContext;
  /** URL of a service's login. */
  urlOf(service: string): string;
  stop(): Promise<void>;
}

/** A stand-in for the keyring that can be read in a test: reversed text. */
export const testKeys: LoginKeys = {
  encrypt: async (tenantId, subject, text) => ({ enc: `${tenantId}/${subject}/1:${[...text].reverse().join('')}` }),
  reveal: async <T>(_tenantId: string, value: unknown) => [...(value as { enc: string }).enc.split(':')[1]!].reverse().join('') as T,
};

/** A migrated server with all roles. */
export async function startPlatform(): Promise<Platform> {
  const server = await startPostgres();
  const passwords = Object.fromEntries([...(await serviceNames()), BLUEPRINTS].map((service) => [service, randomUUID()]));
  await migrate({ adminUrl: server.url, passwords });
  const admin = new pg.Client({ connectionString: urlFor(server.url, 'tenantry') });
  await admin.connect();
  const urlOf = (service: string) =>
    urlFor(server.url, 'tenantry', { user: `tenantry_${service.replaceAll('-', '_')}`, password: passwords[service]! });
  const pool = new pg.Pool({ connectionString: urlOf('provisioning'), max: 8 });
  const app = new AppSessions({ pool, keys: testKeys }, urlOf(BLUEPRINTS));
  const stop = async () => {
    await app.close();
    await pool.end();
    await admin.end();
    await server.stop();
  };
  return { server, admin, passwords, places: { pool, url: urlOf('provisioning'), keys: testKeys, app }, urlOf, stop };
}
