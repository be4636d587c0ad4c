import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram, natsServer } from './local/nats-server.js';
import { root } from './local/services.js';

/**
 * `npm test`: types, lint, dependency rules, unused code, then all specs; each of the first four counts as one.
 * `npm run test:faults`: the long fault matrix. The last line is `N passed, N failed` and nothing else.
 */
interface Tally {
  passed: number;
  failed: number;
}

const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const sources = ['libs', 'services'].flatMap((folder) => [`${folder}/*/src`]);
const checks: Record<string, { command: string[]; holds?: (output: string) => string | undefined }> = {
  types: { command: [process.execPath, join(root, 'node_modules', 'typescript-native', 'bin', 'tsc'), '-b'] },
  lint: { command: [bin('biome'), 'check', '--error-on-warnings', '.'] },
  dependencies: {
    command: [
      'sh',
      '-c',
      `"$0" --config .dependency-cruiser.cjs --output-type err ${sources.join(' ')} deploy/src test-e2e/src`,
      bin('depcruise'),
    ],
    // A rule over nothing always holds.
    holds: (output) => (/(^|[^\d])[1-9]\d* modules/.test(output) ? undefined : 'it looked at no module'),
  },
  unused: { command: [bin('knip'), '--no-progress'] },
};

async function main(verb: string | undefined): Promise<void> {
  const total: Tally = { passed: 0, failed: 0 };
  const add = ({ passed, failed }: Tally) => {
    total.passed += passed;
    total.failed += failed;
  };
  const failures: string[] = [];
  try {
    // Before the specs need it.
    if (!findProgram('nats-server')) await natsServer(console.log);
    if (verb === 'test:faults') add(specs('faults', failures));
    else {
      for (const [name, check] of Object.entries(checks)) add(run(name, check, failures));
      add(specs('packages', failures));
      add(specs('e2e', failures));
    }
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
    add({ passed: 0, failed: 1 });
  }
  if (failures.length > 0) console.log(`\nFailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`);
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
}

function run(name: string, { command: [program, ...args], holds }: (typeof checks)[string], failures: string[]): Tally {
  const started = performance.now();
  const result = spawnSync(program!, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim();
  const reason = result.error?.message ?? (result.status === 0 ? holds?.(output) : `ended with ${result.status}`);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${reason === undefined ? 'ok    ' : 'FAILED'}  ${name} (${seconds} s)`);
  if (reason === undefined) return { passed: 1, failed: 0 };
  console.log(output);
  failures.push(`${name}: ${reason}`);
  return { passed: 0, failed: 1 };
}

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { name: string; status: string; message?: string; assertionResults: { fullName: string; status: string }[] }[];
}

function specs(project: string, failures: string[]): Tally {
  console.log(`\nspecs: ${project}`);
  const folder = mkdtempSync(join(tmpdir(), 'tenantry-test-'));
  const file = join(folder, 'report.json');
  const before = failures.length;
  try {
    const options = ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const result = spawnSync(process.execPath, [join(root, 'node_modules', 'vitest', 'vitest.mjs'), ...options], {
      cwd: root,
      stdio: 'inherit',
    });
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
    for (const { name, status, assertionResults } of report.testResults) {
      const failed = assertionResults.filter((one) => one.status === 'failed');
      failures.push(...failed.map((one) => `${name.replace(root, '')}: ${one.fullName}`));
      // A file that could not be loaded has no tests that could fail.
      if (status === 'failed' && failed.length === 0) failures.push(`${name.replace(root, '')} could not be run`);
    }
    if (report.numPassedTests + report.numFailedTests === 0) failures.push(`${project}: no spec was run`);
    // Errors outside of any test, in a global set-up for example.
    if (result.status !== 0 && failures.length === before) failures.push(`${project}: vitest ended with ${result.status}`);
    return { passed: report.numPassedTests, failed: failures.length - before };
  } catch (error) {
    failures.push(`${project}: ${error instanceof Error ? error.message : error}`);
    return { passed: 0, failed: failures.length - before };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main(process.argv[2]);
