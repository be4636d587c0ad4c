import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { services } from '@tenantry/contracts/route';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { root } from './overlays.js';

const exists = (path: string) =>
  stat(join(root, path)).then(
    () => true,
    () => false,
  );
describe('the image', () => {
  let instructions: { name: string; args: string }[];
  beforeAll(async () => {
    const text = await readFile(join(root, 'deploy/Dockerfile'), 'utf8');
    const lines = text
      .replaceAll(/^\s*#.*\n/gm, '')
      .replaceAll(/\\\n\s*/g, ' ')
      .split('\n')
      .filter((line) => line.trim() !== '');
    instructions = lines.map((line) => ({ name: line.split(' ', 1)[0]!, args: line.slice(line.indexOf(' ') + 1).trim() }));
  });
  const of = (name: string) => instructions.filter((instruction) => instruction.name === name).map(({ args }) => args);

  it('has only instructions that exist', () => {
    expect(
      instructions.map(({ name }) => name).filter((name) => !['FROM', 'ENV', 'RUN', 'WORKDIR', 'COPY', 'USER', 'CMD'].includes(name)),
    ).toEqual([]);
  });

  it('is built on one exact version of Node 24', () => {
    for (const base of of('FROM')) expect(base).toMatch(/^node:24\.\d+\.\d+-bookworm-slim( AS \w+)?$/);
    expect(new Set(of('FROM').map((base) => base.split(' ')[0])).size).toBe(1);
  });

  it('runs without rights, under a number that Kubernetes can check', () => {
    expect(of('USER')).toEqual(['10001:10001']);
    expect(instructions.findLastIndex(({ name }) => name === 'USER')).toBeGreaterThan(
      instructions.findLastIndex(({ name }) => name === 'RUN'),
    );
  });

  it('copies only what there is, and what is not kept out', async () => {
    const ignored = (await readFile(join(root, '.dockerignore'), 'utf8')).split('\n');
    const sources = of('COPY')
      .filter((args) => !args.startsWith('--from='))
      .flatMap((args) => args.split(/\s+/).slice(0, -1));
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      expect([source, await exists(source)]).toEqual([source, true]);
      expect(ignored).toContain(`!${source}`);
    }
    expect(ignored).toEqual(expect.arrayContaining(['*', '**/node_modules', '**/dist', '**/.tenantry']));
  });

  it('has the pnpm of the root scripts, and the lock file’s packages', async () => {
    const pnpm = /const PNPM = '([\d.]+)'/.exec(await readFile(join(root, 'deploy/run.mjs'), 'utf8'))?.[1];
    expect(of('RUN').join('\n')).toContain(`pnpm@${pnpm}`);
    for (const install of of('RUN').filter((command) => command.includes('pnpm install'))) expect(install).toContain('--frozen-lockfile');
  });

  it.each(services)('has a program for %s', async (name) => {
    expect(await exists(`services/${name}/src/main.ts`)).toBe(true);
    expect(await readFile(join(root, 'tsconfig.json'), 'utf8')).toContain(`services/${name}`);
  });
});

describe('the compose file', () => {
  let compose: { services: Record<string, any>; volumes: Record<string, unknown>; networks: Record<string, unknown> };
  beforeAll(async () => {
    compose = parse(await readFile(join(root, 'deploy/compose.yaml'), 'utf8'), { merge: true });
  });

  it('runs every process there is, each with its own credentials', () => {
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining([...services]));
    for (const name of services) {
      const { command, volumes, user, read_only, cap_drop, environment } = compose.services[name];
      expect(command).toEqual([
        'node',
        '--enable-source-maps',
        '--env-file=/run/tenantry/credentials/process.env',
        `services/${name}/dist/main.js`,
      ]);
      const own = volumes.filter((volume: any) => volume.source === 'credentials');
      expect(own).toEqual([expect.objectContaining({ read_only: true, volume: { subpath: `processes/${name}` } })]);
      expect({ user, read_only, cap_drop }).toEqual({ user: '10001:10001', read_only: true, cap_drop: ['ALL'] });
      expect(JSON.stringify(environment)).not.toMatch(/PASSWORD|postgres:\/\//);
    }
    expect(compose.services['gateway'].ports).toEqual([`\${TENANTRY_PORT:-8080}:8080`]);
  });

  it('sets only variables that a process reads', async () => {
    // Beside ours, what the client of S3 reads by itself.
    const others = ['NODE_ENV', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];
    const known = new Set([...others, ...(await readFile(join(root, 'libs/service/src/config.ts'), 'utf8')).match(/TENANTRY_[A-Z_]+/g)!]);
    for (const name of services)
      expect(Object.keys(compose.services[name].environment).filter((variable) => !known.has(variable))).toEqual([]);
  });

  it('waits for what must be there, and names only what exists', () => {
    for (const [name, service] of Object.entries(compose.services)) {
      for (const [other, { condition }] of Object.entries<any>(service.depends_on ?? {})) {
        expect(compose.services).toHaveProperty(other);
        if (condition === 'service_healthy')
          expect([name, other, compose.services[other].healthcheck !== undefined]).toEqual([name, other, true]);
      }
      for (const network of service.networks ?? []) expect(compose.networks).toHaveProperty(network);
      for (const volume of service.volumes ?? []) {
        const source = typeof volume === 'string' ? volume.split(':')[0]! : volume.source;
        if (!source.startsWith('.')) expect(compose.volumes).toHaveProperty(source);
      }
      expect(service.image).toMatch(/:\d[\w.-]*$/);
    }
    for (const name of services)
      expect(compose.services[name].depends_on).toMatchObject({
        migrate: { condition: 'service_completed_successfully' },
        nats: { condition: 'service_healthy' },
      });
  });

  it('has KurrentDB only on request', () => {
    expect(compose.services['kurrentdb'].profiles).toEqual(['kurrentdb']);
    expect(Object.entries(compose.services).filter(([name, { profiles }]) => name !== 'kurrentdb' && profiles)).toEqual([]);
  });

  it('has the files that it mounts', async () => {
    expect(await readdir(join(root, 'deploy/compose'))).toEqual(['nats.conf']);
  });
});
