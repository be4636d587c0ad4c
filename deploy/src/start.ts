import { Launcher, type RunFile, Stopped } from './local/launcher.js';
import { readSettings, slips } from './local/settings.js';

/** `npm start`: the whole system in the foreground, until SIGTERM, SIGINT or SIGHUP. */
const say = (text: string) => console.log(text);

async function main(): Promise<void> {
  const started = performance.now();
  const { settings, faults } = readSettings(process.env, process.cwd());
  if (faults.length > 0) {
    for (const { variable, fault, remedy } of faults) console.error(`${variable}: ${fault}. Remedy: ${remedy}`);
    process.exitCode = 1;
    return;
  }
  for (const { variable, meant } of slips(process.env)) console.error(`${variable} is not a variable of Tenantry; is ${meant} meant?`);

  const launcher = new Launcher(settings, say);
  let code = 0;
  const end = (why: string, exitCode: number) => {
    code = Math.max(code, exitCode);
    say(`${why}: stopping`);
    // Beyond this time nobody waits for us any longer, and nothing may be left behind.
    setTimeout(() => process.exit(1), 28_000).unref();
    launcher.stop().then(
      () => process.exit(code),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on('exit', () => launcher.killAll());
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    let asked = false;
    // Ctrl-C reaches us twice below npm: from the terminal and from npm.
    process.on(signal, () => {
      if (!asked) end(signal, 0);
      asked = true;
    });
  }
  process.on('uncaughtException', (error) => {
    console.error(error);
    end('unexpected error', 1);
  });
  watchParent(() => end('the program that started this one is gone', 0));

  try {
    const run = await launcher.start();
    say(banner(run, settings.dataDir, performance.now() - started));
  } catch (error) {
    if (error instanceof Stopped) return;
    console.error(`\nTenantry could not be started. ${error instanceof Error ? error.message : String(error)}`);
    end('start failed', 1);
  }
}

/** Below npm or another Node, which may be killed without a word to us. */
function watchParent(gone: () => void): void {
  if (!process.env['npm_lifecycle_event'] && !process.env['TENANTRY_WATCH_PARENT']) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    gone();
  }, 1_000);
  timer.unref();
}

function banner(run: RunFile, dataDir: string, durationMs: number): string {
  const rows = [
    ['API', `${run.gatewayUrl}/api/v1/platform`],
    ['API reference', `${run.gatewayUrl}/docs`],
    ['Platform API key', run.adminApiKey],
    ['Mail outbox (simulated)', run.mailOutboxUrl],
    ['PostgreSQL', run.postgresUrl.replace(/:[^:@/]+@/, ':…@')],
    ['NATS', run.natsUrl],
    ['Data, logs, run.json', dataDir],
  ];
  const width = Math.max(...rows.map(([label]) => label!.length));
  const lines = rows.map(([label, text]) => `  ${label!.padEnd(width)}  ${text}`);
  return `\nTenantry is ready (${(durationMs / 1000).toFixed(1)} s).\n\n${lines.join('\n')}\n\nCtrl-C ends it.\n`;
}

await main();
