import { readFile } from 'node:fs/promises';
import { migrate } from '@tenantry/tenancy/migrate';
import type { ServicePasswords } from '@tenantry/tenancy/roles';

/** The program: prints what it applied. */
async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const adminUrl = env['TENANTRY_ADMIN_POSTGRES_URL'];
  const file = env['TENANTRY_SERVICE_PASSWORDS_FILE'];
  if (!adminUrl || !file) throw new Error('TENANTRY_ADMIN_POSTGRES_URL and TENANTRY_SERVICE_PASSWORDS_FILE must be set');
  const passwords: unknown = JSON.parse(await readFile(file, 'utf8'));
  if (passwords === null || typeof passwords !== 'object' || !Object.values(passwords).every((value) => typeof value === 'string'))
    throw new Error(`${file} must be a JSON object of service names and passwords`);
  const { applied, durationMs } = await migrate({ adminUrl, passwords: passwords as ServicePasswords });
  for (const name of applied) console.log(`applied ${name}`);
  console.log(`${applied.length === 0 ? 'Nothing to do' : `${applied.length} applied`} (${Math.round(durationMs)} ms)`);
}

main(process.env).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
