// Prints what happens to tenants, each event once, across restarts. Needs TENANTRY_URL, TENANTRY_API_KEY and a FOLDER to remember in.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TenantryApi } from '@tenantry/sdk/api';
import { FileCheckpoints } from '@tenantry/sdk/file-checkpoints';
import { subscribe } from '@tenantry/sdk/subscribe';

const { TENANTRY_URL: url = 'http://127.0.0.1:8080', TENANTRY_API_KEY: apiKey = '', FOLDER: folder = '.' } = process.env;
const api = new TenantryApi({ url, apiKey });

// Made at the first start. Its credentials are shown only then: they are kept as a password is.
const file = join(folder, 'subscription.json');
const subscription = await readFile(file, 'utf8').then(JSON.parse, async () => {
  const made = await api.createEventSubscription({ name: 'example', tenants: 'all', contexts: ['tenant', 'billing'], from: 'new' });
  await writeFile(file, JSON.stringify(made), { mode: 0o600 });
  return made;
});

const running = await subscribe({
  subscription,
  credentials: subscription.credentials,
  api,
  decrypt: true,
  checkpoints: await FileCheckpoints.open(join(folder, 'checkpoints.json')),
  handle: ({ tenantId, position, context, type, data }) => console.log(JSON.stringify({ tenantId, position, context, type, data })),
  onRewritten: ({ tenantId, from }) => console.error(`forget tenant ${tenantId} from position ${from} on`),
  onNotice: (notice) => console.error(notice),
});
process.once('SIGTERM', () => running.stop());
await running.ended;
