import { isAbsolute, resolve } from 'node:path';
import { faultActions, faultPoints } from '@tenantry/contracts/fault-points';
import { type ServiceName, services } from '@tenantry/contracts/route';
import { connectionFault, connectionStrings } from '@tenantry/event-store/adapters/kurrentdb/connection-string';

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'];

export interface Settings {
  /** Of the gateway; 0 = any free one. */
  port: number;
  /** Absolute. */
  dataDir: string;
  baseDomain: string;
  /** A superuser of a server that is there already; undefined = the embedded one. */
  postgresUrl: string | undefined;
  natsUrl: string | undefined;
  /** KurrentDB's connection string; undefined = the logs are in PostgreSQL. */
  eventStoreUrl: string | undefined;
  replicas: ReadonlyMap<ServiceName, number>;
  logLevel: string;
  test: boolean;
  fault: string | undefined;
}

export interface SettingsFault {
  variable: string;
  fault: string;
  remedy: string;
}

/** Every variable that the launcher itself reads; the rest of `TENANTRY_…` goes on to the services as it is. */
const known = [
  'TENANTRY_PORT',
  'TENANTRY_DATA_DIR',
  'TENANTRY_BASE_DOMAIN',
  'TENANTRY_POSTGRES_URL',
  'TENANTRY_NATS_URL',
  'TENANTRY_EVENTSTORE_URL',
  'TENANTRY_REPLICAS',
  'TENANTRY_LOG_LEVEL',
  'TENANTRY_TEST',
  'TENANTRY_FAULT',
] as const;

/** The settings, and everything that is wrong with them (then they are not to be used). */
export function readSettings(env: NodeJS.ProcessEnv, cwd: string): { settings: Settings; faults: SettingsFault[] } {
  const faults: SettingsFault[] = [];
  const value = (variable: (typeof known)[number]) => env[variable]?.trim() || undefined;
  const wrong = (variable: (typeof known)[number], fault: string, remedy: string) => faults.push({ variable, fault, remedy });

  const port = Number(value('TENANTRY_PORT') ?? '8080');
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    wrong('TENANTRY_PORT', `"${env['TENANTRY_PORT']}" is not a port`, 'give a number from 1 to 65535, or 0 for any free port');
  }
  const dataDir = value('TENANTRY_DATA_DIR') ?? '.tenantry';
  const baseDomain = value('TENANTRY_BASE_DOMAIN') ?? 'tenantry.localhost';
  if (!/^(?=.{1,190}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/.test(baseDomain)) {
    wrong(
      'TENANTRY_BASE_DOMAIN',
      `"${baseDomain}" is not a host name`,
      'give a name such as tenantry.localhost, in lower case and without a port',
    );
  }
  const postgresUrl = value('TENANTRY_POSTGRES_URL');
  if (postgresUrl !== undefined && !hasProtocol(postgresUrl, ['postgres:', 'postgresql:'])) {
    wrong(
      'TENANTRY_POSTGRES_URL',
      'is not a URL of PostgreSQL',
      'give postgres://user:password@host:port/database of a superuser, or unset it for the embedded server',
    );
  }
  const natsUrl = value('TENANTRY_NATS_URL');
  if (natsUrl !== undefined && !hasProtocol(natsUrl, ['nats:', 'tls:'])) {
    wrong('TENANTRY_NATS_URL', `"${natsUrl}" is not a URL of NATS`, 'give nats://host:port, or unset it for a server of our own');
  }
  const eventStoreUrl = value('TENANTRY_EVENTSTORE_URL');
  const eventStoreFault = eventStoreUrl === undefined ? null : connectionFault(eventStoreUrl);
  if (eventStoreFault !== null) {
    wrong('TENANTRY_EVENTSTORE_URL', eventStoreFault, `give ${connectionStrings}; or unset it for the logs in PostgreSQL`);
  }
  const replicas = new Map<ServiceName, number>();
  for (const part of (value('TENANTRY_REPLICAS') ?? '').split(',').filter((text) => text.trim() !== '')) {
    const [name = '', count = ''] = part.split('=').map((text) => text.trim());
    const number = Number(count);
    if (!isService(name)) wrong('TENANTRY_REPLICAS', `there is no process "${name}"`, `use one of ${services.join(', ')}`);
    else if (!Number.isInteger(number) || number < 1 || number > 16) {
      wrong('TENANTRY_REPLICAS', `"${part}" gives no number from 1 to 16`, 'write for example gateway=2,billing=2');
    } else replicas.set(name, number);
  }
  const logLevel = value('TENANTRY_LOG_LEVEL') ?? 'info';
  if (!logLevels.includes(logLevel)) wrong('TENANTRY_LOG_LEVEL', `"${logLevel}" is no level`, `use one of ${logLevels.join(', ')}`);
  const test = value('TENANTRY_TEST') ?? '0';
  if (!['0', '1'].includes(test)) wrong('TENANTRY_TEST', `"${test}" is neither 0 nor 1`, 'unset it, or set 1 for tests');
  const fault = value('TENANTRY_FAULT');
  if (fault !== undefined && test === '1') {
    for (const reason of fault.split(',').flatMap(faultOfFault)) {
      wrong('TENANTRY_FAULT', reason, 'write <process>:<point|*>:<action>; npm run doctor -- --fault-points lists the points');
    }
  }
  const absolute = isAbsolute(dataDir) ? dataDir : resolve(cwd, dataDir);
  return {
    settings: {
      port,
      dataDir: resolve(absolute),
      baseDomain,
      postgresUrl,
      natsUrl,
      eventStoreUrl,
      replicas,
      logLevel,
      test: test === '1',
      fault,
    },
    faults,
  };
}

export function isService(name: string): name is ServiceName {
  return (services as readonly string[]).includes(name);
}

/** `TENANTRY_…` variables that are nearly the name of one that we read, and so probably a slip. */
export function slips(env: NodeJS.ProcessEnv): { variable: string; meant: string }[] {
  const plain = (name: string) => name.replaceAll('_', '').toLowerCase();
  return Object.keys(env)
    .filter((name) => /^TENANT/i.test(name) && !(known as readonly string[]).includes(name))
    .flatMap((variable) => {
      const meant = known.find((name) => plain(name) === plain(variable) || distance(plain(name), plain(variable)) <= 2);
      return meant ? [{ variable, meant }] : [];
    });
}

function hasProtocol(text: string, protocols: string[]): boolean {
  return URL.canParse(text) && protocols.includes(new URL(text).protocol);
}

function faultOfFault(part: string): string[] {
  const [process = '', point = '', action = '', ...rest] = part.trim().split(':');
  const points: readonly string[] | undefined = (faultPoints as Record<string, readonly string[]>)[process];
  if (rest.length > 0 || action === '') return [`"${part}" has not the three parts`];
  if (points === undefined) return [`there are no fault points in "${process}"`];
  if (point !== '*' && !points.includes(point)) return [`"${process}" has no point "${point}"`];
  return (faultActions as readonly string[]).includes(action) ? [] : [`"${action}" is none of ${faultActions.join(', ')}`];
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
