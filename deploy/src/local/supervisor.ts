import type { ChildProcess } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ended, stopChild } from '@tenantry/testing/process';
import { LogFile } from './log-file.js';
import { forConsole, lineSplitter } from './log-lines.js';

/** A process that the supervisor keeps running. */
export interface Program {
  name: string;
  replica: number;
  /** `/readyz` or the like; null where it has none. */
  healthUrl: string | null;
  /** Starts it with stdout and stderr as pipes; called again after each of its deaths. */
  spawn(): Promise<ChildProcess>;
  /** Resolves when it is ready. Gives up as soon as `failed` answers a reason. */
  ready(failed: () => string | undefined): Promise<void>;
  /** What asks it to end, and how long it may take before it is killed. */
  stopSignal: NodeJS.Signals;
  stopGraceMs: number;
  /** Lines that go to the console beyond warnings, by their text. */
  forConsole?(line: string, stream: 'stdout' | 'stderr'): string | undefined;
}

export interface RunningProcess {
  name: string;
  replica: number;
  pid: number;
  healthUrl: string | null;
}

/** A program that had been ready is soon started again: what stopped it came from outside. One that never is waits longer and longer. */
export const usualBackoff = {
  afterReadyMs: { first: 200, most: 1_000 },
  beforeReadyMs: { first: 300, most: 3_000 },
  /** Ready for so long, it starts at the shortest wait again. */
  calmMs: 20_000,
  /** Deaths before it was ready for the first time, after which the start is given up. */
  deathsAtStart: 5,
};

export type Backoff = typeof usualBackoff;

export class Supervisor {
  private readonly supervised: Supervised[] = [];

  constructor(
    private readonly folders: { logs: string; pids: string },
    private readonly say: (text: string) => void,
    /** After each restart, when the process is ready again. */
    private readonly restarted: () => void,
    private readonly backoff: Backoff = usualBackoff,
  ) {}

  /** Starts a program and keeps it running; resolves when it is ready. @throws Error when it does not get ready */
  start(program: Program): Promise<void> {
    const one = new Supervised(program, this.folders, this.say, this.restarted, this.backoff);
    this.supervised.push(one);
    return one.start();
  }

  processes(): RunningProcess[] {
    return this.supervised.flatMap((one) => one.running() ?? []);
  }

  /** Ends the programs that `which` picks, all at once. */
  async stop(which: (name: string) => boolean): Promise<void> {
    await Promise.all(this.supervised.filter((one) => which(one.program.name)).map((one) => one.stop()));
  }

  /** The last resort when this process ends without having stopped them. */
  killAll(): void {
    for (const one of this.supervised) one.kill();
  }
}

class Supervised {
  private child: ChildProcess | undefined;
  private stopping = false;
  private readonly wake = new AbortController();
  private readonly log: LogFile;
  private readonly label: string;
  private readonly pidFile: string;
  /** The last lines that it wrote, for the report of a failed start. */
  private tail: string[] = [];

  constructor(
    readonly program: Program,
    folders: { logs: string; pids: string },
    private readonly say: (text: string) => void,
    private readonly restarted: () => void,
    private readonly backoff: Backoff,
  ) {
    const suffix = program.replica === 0 ? '' : `-${program.replica}`;
    this.label = program.name + suffix;
    this.log = new LogFile(join(folders.logs, `${this.label}.log`));
    this.pidFile = join(folders.pids, `${this.label}.pid`);
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.keepRunning(resolve).catch(reject);
    });
  }

  running(): RunningProcess | undefined {
    const { name, replica, healthUrl } = this.program;
    return this.child?.pid === undefined ? undefined : { name, replica, pid: this.child.pid, healthUrl };
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake.abort();
    if (this.child) await stopChild(this.child, this.program.stopSignal, this.program.stopGraceMs);
    rmSync(this.pidFile, { force: true });
  }

  kill(): void {
    this.child?.kill('SIGKILL');
  }

  private async keepRunning(firstReady: () => void): Promise<void> {
    let waitMs = 0;
    let everReady = false;
    let deathsAtStart = 0;
    while (!this.stopping) {
      const { readyForMs, reason } = await this.runOnce(() => {
        if (everReady) {
          this.say(`${this.label} is ready again`);
          this.restarted();
        } else firstReady();
        everReady = true;
      });
      if (this.stopping) return;
      if (!everReady && ++deathsAtStart >= this.backoff.deathsAtStart) {
        throw new Error(`${this.label} does not start: it ${reason}. Its last lines:\n${this.tail.map((line) => `  ${line}`).join('\n')}`);
      }
      const { first, most } = readyForMs === undefined ? this.backoff.beforeReadyMs : this.backoff.afterReadyMs;
      waitMs = readyForMs !== undefined && readyForMs > this.backoff.calmMs ? first : Math.min(Math.max(waitMs * 2, first), most);
      this.say(`${this.label} ${reason}; starting it again in ${waitMs} ms`);
      await sleep(waitMs, undefined, { signal: this.wake.signal }).catch(() => undefined);
    }
  }

  /** One life: from its start to its end. */
  private async runOnce(ready: () => void): Promise<{ readyForMs: number | undefined; reason: string }> {
    let reason: string | undefined;
    let readyAt: number | undefined;
    try {
      const child = await this.program.spawn();
      // Asked to stop while it was being started.
      if (this.stopping) await stopChild(child, this.program.stopSignal, this.program.stopGraceMs);
      this.child = child;
      child.once('error', (error) => {
        reason ??= `could not be started (${error.message})`;
      });
      child.once('exit', (code, signal) => {
        reason ??= signal ? `was ended by ${signal}` : `ended with code ${code}`;
      });
      if (child.pid !== undefined) writeFileSync(this.pidFile, `${child.pid}\n`, { mode: 0o600 });
      this.listen(child, 'stdout');
      this.listen(child, 'stderr');
      const untilReady = this.program
        .ready(() => (this.stopping ? 'it is being stopped' : reason))
        .then(
          () => {
            if (reason !== undefined || this.stopping) return;
            readyAt = performance.now();
            ready();
          },
          (error: Error) => {
            // It lives, but does not get ready: end it, so that a new one can try.
            if (reason === undefined && !this.stopping) {
              reason = `did not get ready (${error.message})`;
              child.kill('SIGKILL');
            }
          },
        );
      await ended(child);
      await untilReady;
    } catch (error) {
      reason = `could not be started (${(error as Error).message})`;
    }
    this.child = undefined;
    rmSync(this.pidFile, { force: true });
    return { readyForMs: readyAt === undefined ? undefined : performance.now() - readyAt, reason: reason ?? 'ended' };
  }

  private listen(child: ChildProcess, stream: 'stdout' | 'stderr'): void {
    const select = this.program.forConsole ?? forConsole;
    const lines = lineSplitter((line) => {
      this.tail = [...this.tail.slice(-19), line.length > 500 ? `${line.slice(0, 500)}…` : line];
      const text = select(line, stream);
      if (text !== undefined) this.say(`[${this.label}] ${text}`);
    });
    child[stream]?.on('data', (chunk: Buffer) => {
      this.log.write(chunk);
      lines(chunk);
    });
  }
}
