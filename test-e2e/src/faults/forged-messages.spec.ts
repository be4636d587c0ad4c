import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, credsAuthenticator, headers, type NatsConnection } from '@nats-io/transport-node';
import { services } from '@tenantry/contracts/route';
import { expect, it } from 'vitest';
import type { System } from '../harness/system.js';
import { checkLogs } from './log-checks.js';
import { dump, untilSettled } from './read-models.js';
import { trial } from './trial.js';

async function connectAs(system: System, name: string, inbox = `_INBOX_${name}`): Promise<NatsConnection> {
  const { natsUrl } = await system.run();
  const creds = await readFile(join(system.dataDir, 'nats', 'creds', `${name}.creds`));
  return connect({ servers: natsUrl, authenticator: credsAuthenticator(creds), inboxPrefix: inbox });
}

const types = [
  'tenant.TenantSuspended',
  'tenant.TenantActivated',
  'tenant.TenantPlanChanged',
  'identity.MemberInvited',
  'quota.QuotasAssigned',
];

it('forged messages on the subjects of events change nothing', async () => {
  await trial('forged-messages', { rewrites: true, load: { commandsPerLane: 10 } }, async ({ system, random, workload, admin, note }) => {
    await workload.after(Math.floor(workload.planned(6) * 0.9));
    await sleep(3_000);
    await untilSettled(admin, 60_000);
    const { postgresUrl } = await system.run();
    const before = { logs: await checkLogs(admin), rows: await dump(postgresUrl) };

    // Nobody but the relay may say that something happened.
    for (const name of [...services.filter((service) => service !== 'relay'), 'reader']) {
      const connection = await connectAs(system, name, name === 'reader' ? '_INBOX.forger' : undefined);
      const refused = (async () => {
        for await (const status of connection.status()) if (status.type === 'error') return String(status.error);
        return 'the connection ended';
      })();
      connection.publish(`tenantry.events.${workload.tenantIds[0]}.tenant.TenantSuspended`, '{}');
      await connection.flush();
      const answer = await Promise.race([refused, sleep(5_000).then(() => 'nothing was refused')]);
      await connection.close();
      expect(answer, `what ${name} hears`).toMatch(/permissions violation/i);
    }

    // And what is said with the relay's own rights is only a reason to look at the log.
    const relay = await connectAs(system, 'relay');
    let forged = 0;
    for (const tenantId of [...workload.tenantIds, randomUUID(), 'not-an-id', PLATFORM]) {
      for (const type of types) {
        const position = random.pick([-1, 0, 3, 1_000_000, Number.MAX_SAFE_INTEGER]);
        const said = headers();
        said.set('ce-tenantid', tenantId);
        said.set('ce-position', String(position));
        said.set('ce-eventid', randomUUID());
        said.set('ce-type', `tenantry.${type}.v1`);
        const body = random.pick<() => string | Uint8Array>([
          () => JSON.stringify({ status: 'suspended', plan: { id: 'free', version: 1 }, reason: 'forged', cause: 'policy' }),
          () => randomBytes(2_000),
          () => '{',
          () => '',
        ])();
        relay.publish(`tenantry.events.${tenantId}.${type}`, body, random.next() < 0.8 ? { headers: said } : {});
        forged += 1;
      }
      relay.publish('tenantry.nudge', random.pick(['{', 'null', '{"tenants":[1,null,"x"]}', JSON.stringify({ tenants: [tenantId] })]));
    }
    await relay.flush();
    await relay.close();
    // A sweep (5 s) and what follows from it are over, too.
    await sleep(8_000);
    await untilSettled(admin, 60_000);
    expect(await dump(postgresUrl)).toEqual(before.rows);
    expect(await checkLogs(admin)).toEqual(before.logs);
    note(`${forged} forged`);
  });
});

const PLATFORM = '00000000-0000-0000-0000-000000000000';
