// Entry of every root script: `node deploy/run.mjs <verb>`. Runs on any Node from 18 on, with nothing installed:
// finds a Node that is new enough, brings the pinned pnpm, installs and builds what has changed, and goes on to the verb.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const PNPM = '12.21.0';
/** The line that is fetched where the machine's own is older than `engines` allow. */
const NODE = '24';
const NEEDED = [22, 15];
const programs = {
  start: 'start.js',
  test: 'test.js',
  'test:faults': 'test.js',
  bench: 'bench.js',
  demo: 'demo.js',
  doctor: 'doctor.js',
  'verify-certificate': 'tenantry.js',
  'open-export': 'tenantry.js',
};

const [verb = '', ...rest] = process.argv.slice(2);
if (!(verb in programs)) fail(`"${verb}" is none of: ${Object.keys(programs).join(', ')}`);
process.chdir(root);
if (isNewEnough(process.versions.node)) {
  // Child processes of ours find the same Node.
  process.env.PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`;
  await prepare();
  process.argv = [process.execPath, join(root, 'deploy', 'dist', programs[verb]), verb, ...rest];
  await import(pathToFileURL(process.argv[1]).href);
} else {
  runAgain(newerNode());
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
}

/** Path of a Node that is new enough, from the `node` package of the registry; remembered between runs. */
function newerNode() {
  const memory = join(
    process.env.XDG_CACHE_HOME || join(homedir() || tmpdir(), '.cache'),
    'tenantry',
    `node-${NODE}-${process.platform}-${process.arch}`,
  );
  try {
    const known = readFileSync(memory, 'utf8').trim();
    if (existsSync(known) && spawnSync(known, ['--version']).status === 0) return known;
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  say(`Node ${process.versions.node} is older than ${NEEDED.join('.')}: getting Node ${NODE} (once)`);
  const found = npx(['-p', `node@${NODE}`, 'node', '-p', 'process.execPath'], { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  const path = (found.stdout ?? '').trim().split('\n').at(-1);
  if (found.status !== 0 || !path || !existsSync(path)) {
    fail(
      `Node ${NODE} could not be brought by npx (it ended with ${found.error?.message ?? found.status}).\n` +
        `Remedy: check that the npm registry can be reached (npm ping), or install Node ${NODE} yourself (https://nodejs.org) and run this again.`,
    );
  }
  try {
    mkdirSync(dirname(memory), { recursive: true });
    writeFileSync(memory, `${path}\n`);
  } catch (error) {
    say(`(where it is could not be remembered: ${error.message})`);
  }
  return path;
}

/** This script again, under another Node; signals go on to it, and it notices when we are killed. */
function runAgain(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), verb, ...rest], {
    stdio: 'inherit',
    env: { ...process.env, TENANTRY_WATCH_PARENT: '1' },
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // Below npm, which may be killed without a word to us.
  if (process.env.npm_lifecycle_event) {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), 1_000).unref();
  }
  child.on('error', (error) => fail(`${node} could not be started: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/** Installs and builds, each only when something has changed; one at a time per checkout. */
async function prepare() {
  const packages = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', ...workspaces().map((folder) => join(folder, 'package.json'))];
  const install = fingerprint(packages.map((path) => [path, readFileSync(join(root, path))]));
  const installStamp = join(root, 'node_modules', '.tenantry-install');
  const buildStamp = join(root, 'node_modules', '.tenantry-build');
  const isInstalled = () => stampOf(installStamp) === install;
  const isBuilt = () => isInstalled() && stampOf(buildStamp) === sources();
  if (isBuilt()) return;
  await exclusively(() => {
    if (!isInstalled()) {
      say('installing packages');
      const result = npx(
        [`pnpm@${PNPM}`, 'install', '--frozen-lockfile', '--prefer-offline', '--reporter=append-only', '--loglevel=warn'],
        {
          stdio: ['ignore', 'inherit', 'inherit'],
        },
      );
      if (result.status !== 0) {
        fail(
          'The packages could not be installed (see above).\nRemedy: check that the npm registry can be reached (npm ping) and that the disk is not full, and run this again.',
        );
      }
      writeFileSync(installStamp, install);
    }
    // What was built before a change of packages is checked by the compiler itself.
    const before = sources();
    if (stampOf(buildStamp) !== before) {
      say('building');
      const result = spawnSync(process.execPath, [join(root, 'node_modules', 'typescript-native', 'bin', 'tsc'), '-b'], {
        cwd: root,
        stdio: 'inherit',
      });
      // The tests report it together with everything else.
      if (result.status !== 0 && !(verb.startsWith('test') && existsSync(join(root, 'deploy', 'dist', programs[verb])))) {
        fail('The build failed (see above).');
      }
      if (result.status === 0) writeFileSync(buildStamp, before);
    }
  });
}

/** Folders of the packages. */
function workspaces() {
  const below = (folder) =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && existsSync(join(root, folder, entry.name, 'package.json')))
      .map((entry) => join(folder, entry.name));
  return [...below('libs'), ...below('services'), 'deploy', 'test-e2e'];
}

/** Sources by size and time of change, and whether each package is built. Cheap: no file is read. */
function sources() {
  const entries = [];
  const add = (path) => {
    const found = statSync(path, { throwIfNoEntry: false });
    entries.push([path, found ? `${found.size} ${found.mtimeMs}` : 'absent']);
  };
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (/\.(ts|tsx|json)$/.test(entry.name)) add(path);
    }
  };
  for (const path of ['tsconfig.json', 'tsconfig.base.json']) add(join(root, path));
  for (const folder of workspaces()) {
    add(join(root, folder, 'tsconfig.json'));
    const source = join(root, folder, 'src');
    if (existsSync(source)) walk(source);
    entries.push([folder, existsSync(join(root, folder, 'dist')) ? 'built' : 'not built']);
  }
  return fingerprint([['node', process.versions.modules], ...entries]);
}

function fingerprint(entries) {
  const hash = createHash('sha256');
  for (const [name, content] of entries) hash.update(`${name}\0`).update(content).update('\0');
  return hash.digest('hex');
}

function stampOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Two starts of one checkout must not install at the same time. */
async function exclusively(work) {
  const lock = join(tmpdir(), `tenantry-prepare-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`);
  const owner = join(lock, 'pid');
  for (let waited = false; ; ) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isAbandoned(lock, owner)) {
      rmSync(lock, { recursive: true, force: true });
      continue;
    }
    if (!waited) say('another start of this checkout is preparing it: waiting');
    waited = true;
    await new Promise((done) => setTimeout(done, 250));
  }
  const release = () => rmSync(lock, { recursive: true, force: true });
  process.on('exit', release);
  try {
    writeFileSync(owner, String(process.pid));
    work();
  } finally {
    process.off('exit', release);
    release();
  }
}

function isAbandoned(lock, owner) {
  const pid = Number(stampOf(owner));
  if (!pid) {
    // Just made, or its maker was killed before it could sign.
    const made = statSync(lock, { throwIfNoEntry: false });
    return made !== undefined && Date.now() - made.mtimeMs > 5_000;
  }
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** npm gives its scripts its own settings as variables, and pnpm would take them for its own: only how to reach the registry goes on. */
function npx(args, options) {
  const kept =
    /^npm_config_(registry|cache|userconfig|cafile|ca|strict_ssl|https?_proxy|https?-proxy|proxy|noproxy|offline|prefer_offline|.*_authtoken|@.*|\/\/.*)$/i;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|pnpm_|INIT_CWD$)/i.test(name) || kept.test(name)));
  Object.assign(env, { CI: 'true', npm_config_update_notifier: 'false', npm_config_fund: 'false', npm_config_loglevel: 'error' });
  const command = process.platform === 'win32' ? 'npx.cmd' : 'npx';
  const result = spawnSync(command, ['-y', '--prefer-offline', ...args], { cwd: root, env, ...options });
  if (result.error?.code === 'ENOENT') fail('npx is not in PATH. Remedy: install npm, which comes with Node (https://nodejs.org).');
  return result;
}

function say(text) {
  console.error(`tenantry: ${text}`);
}

function fail(text) {
  console.error(`\n${text}`);
  process.exit(1);
}
