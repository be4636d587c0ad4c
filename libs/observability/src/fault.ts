import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** One entry of `TENANTRY_FAULT`: what happens to a process when it passes a point. */
export interface FaultRule {
  process: string;
  /** `*` is every point. */
  point: string;
  action: 'kill' | 'fail' | 'hang' | 'kill-postgres' | 'kill-nats';
}

/** How long `hang` holds a process up. */
const HANG_MS = 30_000;
const ACTIONS = new Set<string>(['kill', 'fail', 'hang', 'kill-postgres', 'kill-nats'] satisfies FaultRule['action'][]);

/** Thrown by the action `fail`. */
export class InjectedFault extends Error {
  constructor(point: string) {
    super(`injected fault at ${point}`);
    this.name = 'InjectedFault';
  }
}

/** `<process>:<point|*>:<action>[,…]`. @throws Error that quotes what it cannot read */
export function parseFaults(text: string | undefined): FaultRule[] {
  return (text ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [process, point, action, ...rest] = entry.split(':');
      if (!process || !point || !action || rest.length > 0 || !ACTIONS.has(action))
        throw new Error(`TENANTRY_FAULT: "${entry}" is not <process>:<point|*>:<kill|fail|hang|kill-postgres|kill-nats>`);
      return { process, point, action: action as FaultRule['action'] };
    });
}

let armed: { process: string; dataDir: string; rules: FaultRule[] } | null = null;
const passed = Promise.resolve();

/** Called once at start. Nothing is armed unless `TENANTRY_TEST=1` and `TENANTRY_FAULT` names this process. */
export function armFaults(process_: string, dataDir: string, env: NodeJS.ProcessEnv = process.env): void {
  const rules = env['TENANTRY_TEST'] === '1' ? parseFaults(env['TENANTRY_FAULT']).filter(({ process: name }) => name === process_) : [];
  armed = rules.length > 0 ? { process: process_, dataDir, rules } : null;
}

/**
 * A place where a test may stop this process (`@tenantry/contracts/fault-points`). Costs nothing where no fault is armed.
 * Each (process, point, action) fires once per data directory, so that a restarted process doesn't meet it again.
 * @throws InjectedFault for the action `fail`
 */
export function faultPoint(point: string): Promise<void> {
  return armed === null ? passed : pass(armed, point);
}

async function pass({ process: name, dataDir, rules }: NonNullable<typeof armed>, point: string): Promise<void> {
  for (const rule of rules) {
    if (rule.point !== '*' && rule.point !== point) continue;
    if (!claim(dataDir, `${name}.${point}.${rule.action}`)) continue;
    switch (rule.action) {
      case 'kill':
        process.kill(process.pid, 'SIGKILL');
        await sleep(HANG_MS);
        break;
      case 'fail':
        throw new InjectedFault(point);
      case 'hang':
        await sleep(HANG_MS);
        break;
      case 'kill-postgres':
      case 'kill-nats':
        killServer(dataDir, rule.action.slice('kill-'.length));
    }
  }
}

/** The marker is made before the fault fires: O_EXCL makes one of several replicas the one that meets it. */
function claim(dataDir: string, marker: string): boolean {
  const folder = join(dataDir, 'faults');
  mkdirSync(folder, { recursive: true });
  try {
    writeFileSync(join(folder, marker), '', { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function killServer(dataDir: string, server: string): void {
  const pid = Number.parseInt(readFileSync(join(dataDir, 'pids', `${server}.pid`), 'utf8'), 10);
  if (!(pid > 1)) throw new Error(`${server}.pid holds no process id`);
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It is down already, from another fault: that is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
