import { spawnSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from './local/services.js';

/** `npm run bench -- <name> [options]`: runs `test-e2e/src/bench/<name>.ts`, whose last line is one JSON object. */
const [, name, ...options] = process.argv.slice(2);
const folder = join(root, 'test-e2e', 'dist', 'bench');
const names = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith('.js')).map((file) => file.slice(0, -3));
if (name === undefined || !names.includes(name)) {
  console.error(`npm run bench -- <name>; there are: ${names.join(', ') || 'none yet'}`);
  process.exitCode = 1;
} else {
  process.exitCode =
    spawnSync(process.execPath, ['--enable-source-maps', join(folder, `${name}.js`), ...options], { stdio: 'inherit', cwd: root }).status ??
    1;
}
