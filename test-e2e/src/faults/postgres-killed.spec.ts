import { it } from 'vitest';
import { kill } from './processes.js';
import { trial } from './trial.js';

it('PostgreSQL is killed under load, three times', async () => {
  await trial('postgres-killed', {}, async ({ system, random, workload }) => {
    for (let n = 0; n < 3; n++) {
      await workload.after(random.int(40, 110));
      await kill(system, 'postgres');
    }
  });
});
