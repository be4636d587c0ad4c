import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import { eventually } from '@tenantry/testing/eventually';
import { startTcpProxy } from '@tenantry/testing/tcp-proxy';
import { expect, it } from 'vitest';
import type { RunFile, System } from '../harness/system.js';
import { fillLog } from './fill-log.js';
import { Subscriber } from './subscriber.js';
import { trial } from './trial.js';

/** Appends to each log, events per append, bytes per event: 2 MB a log. */
const volume = { appends: 10, events: 100, bytes: 2_000 };
/**
 * A backlog that were kept in memory would show: the second is three times as large. The broker keeps what came in the last seconds, so more of a
 * larger one; the third, as large as the second, adds nothing to it.
 */
const backlogs = [15, 45, 45];

/** Resident memory by process, in MB. */
async function residentMb(system: System): Promise<Map<string, number>> {
  const { processes } = await system.run();
  const all = await Promise.all(
    processes
      .filter(({ name }) => name !== 'postgres')
      .map(async ({ name, pid }) => {
        const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
        return [name, Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024] as const;
      }),
  );
  return new Map(all);
}

/** Its socket takes nothing any more once the first events have come: what a program looks like that hangs. */
async function hangingClient({ natsUrl, natsCredsFile }: RunFile): Promise<{ got(): number; stop(): Promise<void> }> {
  let got = 0;
  const proxy = await startTcpProxy({
    target: () => Number(new URL(natsUrl).port),
    link: () => ({
      toClient: (chunk) => {
        got += chunk.length;
        return got > 20_000 ? { delayMs: 600_000 } : 'pass';
      },
    }),
  });
  const connection = await connect({
    servers: `nats://127.0.0.1:${proxy.port}`,
    authenticator: credsAuthenticator(await readFile(natsCredsFile)),
    inboxPrefix: '_INBOX.hung',
    reconnect: false,
    pingInterval: 600_000,
  });
  connection.subscribe('tenantry.events.>', { callback: () => undefined });
  await connection.flush();
  return {
    got: () => got,
    stop: async () => {
      await proxy.stop();
      await connection.close();
    },
  };
}

it.runIf(process.platform === 'linux')('subscribers that are slow, or read nothing at all, cost no memory', async () => {
  const options = { load: { commandsPerLane: 10 }, tenants: 3, healsWithinMs: 240_000 };
  await trial('slow-subscriber', options, async ({ system, admin, note }) => {
    const run = await system.run();
    const slow = new Subscriber(run, 1_000);
    await slow.start();
    const peaks: Map<string, number>[] = [];
    try {
      for (const logs of backlogs) {
        const hanging = await hangingClient(run);
        const most = new Map<string, number>();
        let watching = true;
        const watch = (async () => {
          while (watching) {
            for (const [name, mb] of await residentMb(system)) most.set(name, Math.max(mb, most.get(name) ?? 0));
            await sleep(200);
          }
        })();
        try {
          const tenantIds = Array.from({ length: logs }, () => randomUUID());
          await fillLog(admin, tenantIds, volume);
          const quick = new Subscriber(run);
          await quick.start();
          const total = logs * volume.appends * volume.events;
          const got = () => tenantIds.reduce((sum, tenantId) => sum + (quick.taken.get(tenantId)?.length ?? 0), 0);
          await eventually(() => got() === total, { timeoutMs: 120_000, intervalMs: 500, what: `${total} events to be on the bus` });
          await quick.stop();
          note(
            `${total} events of ${volume.bytes} bytes: by then ${slow.deliveries} with the slow one in all, ${hanging.got()} bytes with the hung one`,
          );
        } finally {
          watching = false;
          await watch;
          await hanging.stop();
        }
        peaks.push(most);
      }
    } finally {
      await slow.stop();
    }
    const peaksOf = (name: string) => peaks.map((most) => most.get(name) ?? 0) as [number, number, number];
    const names = [...(peaks[0] as Map<string, number>).keys()];
    note(`peak RSS in MB ${names.map((name) => `${name} ${peaksOf(name).map(Math.round).join(', ')}`).join('; ')}`);
    for (const name of names) {
      const [first, second, third] = peaksOf(name);
      if (name !== 'nats') expect(second, `MB of ${name}`).toBeLessThan(1.3 * first + 20);
      expect(third, `MB of ${name}`).toBeLessThan(1.15 * second + 20);
    }
  });
});
