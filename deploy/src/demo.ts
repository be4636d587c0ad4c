import { setTimeout as sleep } from 'node:timers/promises';
import { planIds } from '@tenantry/contracts/plans';
import { dataFolder, readIfThere } from './local/files.js';
import type { RunFile } from './local/launcher.js';
import { readSettings } from './local/settings.js';

/**
 * `npm run demo`: a tenant of every plan on every isolation level, through the API of the running system.
 * Each creation has an Idempotency-Key of its own: a second run finds the same tenants.
 */
const isolations = ['shared', 'dedicated', 'isolated'] as const;
const companies = [
  'Alder',
  'Birch',
  'Cedar',
  'Dogwood',
  'Elm',
  'Fir',
  'Ginkgo',
  'Hazel',
  'Ironwood',
  'Juniper',
  'Katsura',
  'Linden',
  'Maple',
  'Nutmeg',
  'Oak',
];
const places = [
  { timezone: 'Europe/Berlin', currency: 'EUR', language: 'en' },
  { timezone: 'America/New_York', currency: 'USD', language: 'en' },
  { timezone: 'Asia/Tokyo', currency: 'JPY', language: 'en' },
];
const settledWithinMs = 60_000;

interface Answer {
  status: number;
  body: { id?: string; status?: string; slug?: string; detail?: string; code?: string; operation?: { id: string } };
}

const { settings } = readSettings(process.env, process.cwd());
const text = await readIfThere(dataFolder(settings.dataDir).runFile);
if (text === undefined) {
  console.error(`Nothing runs on ${settings.dataDir} (no run.json there). Remedy: npm start in another terminal, then npm run demo`);
  process.exitCode = 1;
} else {
  const run = JSON.parse(text) as RunFile;
  const wanted = planIds.flatMap((plan, row) =>
    isolations.map((isolation, column) => ({ plan, isolation, number: row * isolations.length + column })),
  );
  // Four at a time: quick, and kind to a small machine.
  const queue = [...wanted];
  const rows: { number: number; cells: string[]; isActive: boolean }[] = [];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) rows.push(await create(run, next));
    }),
  );
  rows.sort((a, b) => a.number - b.number);
  print([['tenant', 'slug', 'plan', 'isolation', 'status', 'id'], ...rows.map((row) => row.cells)]);
  if (rows.some((row) => !row.isActive)) process.exitCode = 1;
}

async function create(run: RunFile, { plan, isolation, number }: { plan: string; isolation: string; number: number }) {
  const company = companies[number % companies.length]!;
  const started = performance.now();
  const created = await call(run, 'POST', '/api/v1/platform/tenants', {
    key: `demo-${plan}-${isolation}`,
    body: {
      name: `${company} ${plan === 'msp' ? 'Services' : 'Works'}`,
      isolation,
      plan: { id: plan, trial: false },
      adminEmail: `admin@${company.toLowerCase()}.example`,
      configuration: places[number % places.length],
    },
  });
  const { id, slug = '' } = created.body;
  if (id === undefined) {
    const problem = `${created.status} ${created.body.code ?? ''} ${created.body.detail ?? ''}`.trim();
    return { number, cells: [company, '', plan, isolation, problem, ''], isActive: false };
  }
  let status = created.body.status ?? '';
  while (!['active', 'trial', 'failed'].includes(status) && performance.now() - started < settledWithinMs) {
    await sleep(200);
    status = (await call(run, 'GET', `/api/v1/platform/tenants/${id}`)).body.status ?? status;
  }
  return { number, cells: [company, slug, plan, isolation, status, id], isActive: status === 'active' || status === 'trial' };
}

async function call(run: RunFile, method: string, path: string, { key, body }: { key?: string; body?: unknown } = {}): Promise<Answer> {
  const answer = await fetch(run.gatewayUrl + path, {
    method,
    headers: {
      authorization: `Bearer ${run.adminApiKey}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  return { status: answer.status, body: (await answer.json()) as Answer['body'] };
}

function print(rows: string[][]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
}
