import { it } from 'vitest';
import { withoutMessages } from './nats-frames.js';
import { startProxied } from './proxied-system.js';
import { trial } from './trial.js';

/** Events that wake services, and nudges that wake the relay. Requests, answers and acknowledgements go to other subjects. */
const isWakeUp = (subject: string) => subject.startsWith('tenantry.events.') || subject === 'tenantry.nudge';

it('no wake-up arrives, ever', async () => {
  let lost = 0;
  const nats = () => ({
    toClient: withoutMessages((subject) => {
      if (isWakeUp(subject)) lost += 1;
      return isWakeUp(subject);
    }),
  });
  await trial('wake-ups-lost', { start: (env) => startProxied(env, { nats }) }, async ({ workload, note }) => {
    await workload.after(300);
    note(`${lost} wake-ups lost by then`);
    if (lost === 0) throw new Error('nothing was lost: the proxy has seen no wake-up');
  });
});
