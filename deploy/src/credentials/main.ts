import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { generateCredentials } from './generate.js';

const usage = `Makes the credentials of an installation: NATS operator, accounts and users, passwords, keys.
What is there already is kept.

  node deploy/dist/credentials/main.js --out <folder> [options]

  --out <folder>                    where they go; keep it secret, and keep it
  --postgres-url <url>              without a login (postgres://postgres:5432/tenantry)
  --admin-postgres-url-file <file>  holds the URL of who may create roles and databases; without it: postgres, with a new password
  --resolver-dir <path>             the broker's account folder (/data/accounts)
  --base-domain <domain>            (tenantry.localhost)
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      'postgres-url': { type: 'string', default: 'postgres://postgres:5432/tenantry' },
      'admin-postgres-url-file': { type: 'string' },
      'resolver-dir': { type: 'string', default: '/data/accounts' },
      'base-domain': { type: 'string', default: 'tenantry.localhost' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || values.out === undefined) {
    process.stdout.write(usage);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const adminFile = values['admin-postgres-url-file'];
  const adminPostgresUrl = adminFile === undefined ? undefined : (await readFile(adminFile, 'utf8')).trim();
  const { processes } = await generateCredentials(values.out, {
    postgresUrl: values['postgres-url'],
    ...(adminPostgresUrl === undefined ? {} : { adminPostgresUrl }),
    resolverDir: values['resolver-dir'],
    baseDomain: values['base-domain'],
  });
  console.log(`Credentials of ${[...processes.keys()].join(', ')} are in ${values.out}`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
