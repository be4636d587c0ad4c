import { describe, expect, it } from 'vitest';
import { startProxied } from './proxied-system.js';
import { seeded } from './random.js';
import { trial } from './trial.js';

/** What commits, as it looks on the wire: these statements do so by themselves, by the names that they are prepared under; all else ends with the word. */
const commits = /log_append|quota-change|idempotency claim|idempotency finish|COMMIT/;

describe('the network between the services and their servers', () => {
  it('resets connections of PostgreSQL after the commit, before the reply', async () => {
    const chance = seeded('resets').of('links');
    let links = 0;
    const lost = new Map<string, number>();
    let quiet = true;
    const postgres = () => {
      const random = chance.of(links++);
      let committing: string | undefined;
      return {
        toServer: (chunk: Buffer) => {
          const [what] = commits.exec(chunk.toString('latin1')) ?? [];
          committing = !quiet && random.next() < 0.06 ? what : undefined;
          return 'pass' as const;
        },
        toClient: () => {
          if (committing === undefined) return 'pass' as const;
          lost.set(committing, (lost.get(committing) ?? 0) + 1);
          committing = undefined;
          return 'reset' as const;
        },
      };
    };
    await trial('resets', { start: (env) => startProxied(env, { postgres }) }, async ({ workload, note }) => {
      quiet = false;
      await workload.after(Math.floor(workload.planned(6) * 0.8));
      quiet = true;
      note(`replies lost with their connections ${JSON.stringify(Object.fromEntries(lost))}`);
      expect(lost.get('log_append') ?? 0, 'appends whose reply was lost').toBeGreaterThan(3);
    });
  });

  it('delays and resets, in both directions', async () => {
    const chance = seeded('weather').of('links');
    let links = 0;
    let quiet = true;
    const seen = { delays: 0, resets: 0 };
    const weather = (resetShare: number) => () => {
      const random = chance.of(links++);
      const judge = () => {
        if (quiet) return 'pass' as const;
        const drawn = random.next();
        if (drawn < resetShare) {
          seen.resets += 1;
          return 'reset' as const;
        }
        if (drawn > 0.05) return 'pass' as const;
        seen.delays += 1;
        return { delayMs: random.int(1, 60) };
      };
      return { toServer: judge, toClient: judge };
    };
    const start = (env: Record<string, string>) => startProxied(env, { postgres: weather(0.004), nats: weather(0.001) });
    await trial('weather', { start }, async ({ workload, note }) => {
      quiet = false;
      await workload.after(Math.floor(workload.planned(6) * 0.8));
      quiet = true;
      note(`${seen.resets} resets, ${seen.delays} delays`);
      expect(seen.resets).toBeGreaterThan(10);
    });
  });

  it('falls silent on some connections, which stay open', async () => {
    const chance = seeded('silence').of('links');
    let links = 0;
    let left = 0;
    const falling = () => {
      const random = chance.of(links++);
      const judge = () => {
        if (left === 0 || random.next() > 0.02) return 'pass' as const;
        left -= 1;
        return 'silence' as const;
      };
      return { toServer: judge };
    };
    await trial('silence', { start: (env) => startProxied(env, { postgres: falling }) }, async ({ workload, note }) => {
      await workload.after(60);
      left = 5;
      await workload.after(60);
      left = 5;
      note('10 connections fell silent');
    });
  });
});
