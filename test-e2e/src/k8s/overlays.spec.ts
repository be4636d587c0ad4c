import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TemporaryFolder } from '@tenantry/testing/tmp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build, kubectl, type Manifest, manifests, root } from './overlays.js';
import { faultsOf } from './schema.js';

const tool = await kubectl();
const skipped = tool ? '' : ' (left out: no kubectl with kustomize in PATH; set KUBECTL to one)';
const processes = (await readdir(join(root, 'services'), { withFileTypes: true }))
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await manifests();
});
afterAll(() => folder.remove());

describe.skipIf(!tool).each(['local', 'production'])(`the overlay %s, built by kubectl ${tool?.version ?? ''}${skipped}`, (overlay) => {
  let all: Manifest[];
  beforeAll(async () => {
    all = await build(tool!.path, join(folder.path, 'k8s/overlays', overlay));
    // The overlay itself builds from a clean clone; its Secrets come from files that each installation makes.
    if (overlay === 'local') all.push(...(await build(tool!.path, join(folder.path, 'k8s/overlays/local/secrets'))));
  });
  const of = (kind: string) => all.filter((manifest) => manifest.kind === kind);
  const named = (kind: string) => new Set(of(kind).map(({ metadata }) => metadata.name));
  const workloads = () => all.filter(({ kind }) => ['Deployment', 'StatefulSet', 'Job'].includes(kind));
  const labelsOf = (workload: Manifest): Record<string, string> => workload.spec.template.metadata.labels;
  const containersOf = (workload: Manifest): any[] => [
    ...workload.spec.template.spec.containers,
    ...(workload.spec.template.spec.initContainers ?? []),
  ];

  it('is valid by the schemas of Kubernetes, document for document', async () => {
    expect(all.length).toBeGreaterThan(40);
    const faults = await Promise.all(
      all.map(async (manifest) => [`${manifest.kind} ${manifest.metadata.name}`, await faultsOf(manifest)] as const),
    );
    expect(Object.fromEntries(faults.filter(([, found]) => found.length > 0))).toEqual({});
  });

  it('is all in one namespace, and names nothing twice', () => {
    const names = all.map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    for (const { kind, metadata } of all)
      expect([kind, metadata.name, metadata.namespace]).toEqual([kind, metadata.name, kind === 'Namespace' ? undefined : 'tenantry']);
  });

  it('runs every process, at least twice, and replaces none before the new one is ready', () => {
    expect([...named('Deployment')].sort()).toEqual([...processes].sort());
    for (const { metadata, spec } of of('Deployment')) {
      const scaler = of('HorizontalPodAutoscaler').find((hpa) => hpa.spec.scaleTargetRef.name === metadata.name);
      // With an autoscaler a fixed number would fight it.
      expect([metadata.name, scaler && spec.replicas]).toEqual([metadata.name, undefined]);
      expect([metadata.name, (scaler?.spec.minReplicas ?? spec.replicas) >= 2]).toEqual([metadata.name, true]);
      expect(spec.strategy.rollingUpdate.maxUnavailable).toBe(0);
      expect(spec.template.spec.containers[0].command.at(-1)).toBe(`services/${metadata.name}/dist/main.js`);
      expect(spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(18);
      expect(spec.template.spec.topologySpreadConstraints.length).toBeGreaterThan(0);
    }
    expect(of('Job').map(({ spec }) => spec.template.spec.containers[0].command.at(-1))).toEqual(['deploy/dist/migrate.js']);
  });

  it('probes every process on its health port', () => {
    for (const workload of of('Deployment')) {
      const [main, ...beside] = containersOf(workload);
      const health = main.ports.find(({ name }: any) => name === 'health').containerPort;
      expect(health).toBe(Number(settings()['TENANTRY_HEALTH_PORT']));
      expect(settings()['TENANTRY_HEALTH_HOST']).toBe('0.0.0.0');
      expect(main.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'health' });
      for (const probe of [main.livenessProbe, main.startupProbe]) expect(probe.httpGet).toEqual({ path: '/livez', port: 'health' });
      for (const container of beside) expect(container).toMatchObject({ readinessProbe: {}, livenessProbe: {}, startupProbe: {} });
    }
    for (const workload of of('StatefulSet'))
      for (const container of containersOf(workload))
        expect(container).toMatchObject({ readinessProbe: {}, livenessProbe: {}, startupProbe: {} });
  });

  it('gives every container limits, and no rights', () => {
    for (const workload of workloads()) {
      const pod = workload.spec.template.spec;
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      });
      expect(named('ServiceAccount')).toContain(pod.serviceAccountName);
      for (const { name, resources, securityContext, image } of containersOf(workload)) {
        expect([name, resources]).toEqual([
          name,
          {
            requests: { cpu: expect.anything(), memory: expect.anything() },
            limits: { cpu: expect.anything(), memory: expect.anything() },
          },
        ]);
        expect([name, securityContext]).toEqual([
          name,
          { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        ]);
        expect(image).toMatch(/:\d[\w.-]*$/);
      }
    }
    for (const account of of('ServiceAccount')) expect(account.automountServiceAccountToken).toBe(false);
  });

  it('has a disruption budget for everything that stays', () => {
    for (const workload of workloads().filter(({ kind }) => kind !== 'Job')) {
      const budgets = of('PodDisruptionBudget').filter(({ spec }) => selects(spec.selector, labelsOf(workload)));
      expect([workload.metadata.name, budgets.length]).toEqual([workload.metadata.name, 1]);
    }
  });

  it('has selectors that select', () => {
    for (const workload of workloads().filter(({ kind }) => kind !== 'Job')) {
      expect(selects(workload.spec.selector, labelsOf(workload))).toBe(true);
      expect(workloads().filter((other) => selects(workload.spec.selector, labelsOf(other)))).toEqual([workload]);
      for (const { labelSelector } of workload.spec.template.spec.topologySpreadConstraints ?? [])
        expect(selects(labelSelector, labelsOf(workload))).toBe(true);
    }
    for (const { metadata, spec } of of('Service')) {
      const behind = workloads().filter((workload) => selects({ matchLabels: spec.selector }, labelsOf(workload)));
      expect([metadata.name, behind.length]).toEqual([metadata.name, 1]);
      const open = containersOf(behind[0]!).flatMap(({ ports }) => ports ?? []);
      for (const { targetPort } of spec.ports) expect(open.map(({ name }) => name)).toContain(targetPort);
    }
    for (const { spec } of of('HorizontalPodAutoscaler')) expect(named(spec.scaleTargetRef.kind)).toContain(spec.scaleTargetRef.name);
    for (const { spec } of of('StatefulSet')) expect(named('Service')).toContain(spec.serviceName);
    for (const { spec } of of('Ingress')) {
      const { name, port } = spec.rules[0].http.paths[0].backend.service;
      expect(
        of('Service')
          .find(({ metadata }) => metadata.name === name)
          ?.spec.ports.map((own: any) => own.name),
      ).toContain(port.name);
    }
  });

  it('closes the network, and opens only what is needed', () => {
    const policies = of('NetworkPolicy');
    const [deny] = policies.filter(({ metadata }) => metadata.name === 'default-deny');
    expect(deny?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    for (const workload of workloads()) {
      const own = policies.filter(
        ({ spec, metadata }) => metadata.name !== 'dns' && spec !== deny?.spec && selects(spec.podSelector, labelsOf(workload)),
      );
      expect([workload.metadata.name, own.length > 0]).toEqual([workload.metadata.name, true]);
    }
    for (const { metadata, spec } of policies) {
      if (spec === deny?.spec) continue;
      const pods = workloads().filter((workload) => selects(spec.podSelector, labelsOf(workload)));
      expect([metadata.name, pods.length > 0]).toEqual([metadata.name, true]);
      for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])])
        expect([metadata.name, (rule.from ?? rule.to).length > 0, rule.ports.length > 0]).toEqual([metadata.name, true, true]);
    }
  });

  it.each([
    ['billing', 'nats', 4222, true],
    ['gateway', 'nats', 4222, true],
    ['migrate', 'nats', 4222, false],
    ['billing', 'audit', 9464, false],
    ['billing', 'gateway', 8080, false],
    ['nats', 'nats', 6222, true],
    ['billing', 'nats', 6222, false],
  ])('the network lets %s reach %s:%i: %s', (from, to, port, allowed) => {
    expect(reaches(from, to, port)).toBe(allowed);
  });

  it('lets provisioning try the API of a new tenant, at the address that it is told', () => {
    const url = new URL(settings()['TENANTRY_GATEWAY_URL']!);
    const service = of('Service').find(({ metadata }) => metadata.name === url.hostname)!;
    const { targetPort } = service.spec.ports.find(({ port }: any) => port === Number(url.port));
    const ports = containersOf(of('Deployment').find(({ metadata }) => metadata.name === 'gateway')!).flatMap(
      (container) => container.ports,
    );
    expect(reaches('provisioning', 'gateway', ports.find(({ name }: any) => name === targetPort).containerPort)).toBe(true);
  });

  it('sets only variables that a process reads', async () => {
    const sources = await Promise.all(
      ['libs/service/src/config.ts', 'services/relay/src/config.ts', 'deploy/src/migrate.ts'].map((path) =>
        readFile(join(root, path), 'utf8'),
      ),
    );
    const known = new Set(sources.join('\n').match(/TENANTRY_[A-Z_]+/g));
    for (const name of ['NODE_ENV', 'NODE_EXTRA_CA_CERTS']) known.add(name);
    const set = new Set(Object.keys(settings()));
    for (const { spec } of [...of('Deployment'), ...of('Job')])
      for (const container of spec.template.spec.containers) for (const { name } of container.env ?? []) set.add(name);
    expect([...set].filter((name) => !known.has(name))).toEqual([]);
    // Every file that they name is below something that is mounted.
    for (const workload of of('Deployment')) {
      const [main] = containersOf(workload);
      const values = [...Object.entries(settings()), ...(main.env ?? []).map(({ name, value }: any) => [name, value])].filter(([name]) =>
        /_FILE$|_CERTS$/.test(name as string),
      );
      expect(values.length).toBeGreaterThan(1);
      for (const [, path] of values)
        expect(main.volumeMounts.some(({ mountPath }: any) => (path as string).startsWith(`${mountPath}/`))).toBe(true);
    }
  });

  it('mounts what exists, or what the guide says how to make', async () => {
    const guide = await readFile(join(root, 'docs/operations/deploy.md'), 'utf8');
    const explained = new Set([...guide.matchAll(/`([^`\n]+)`/g)].map(([, word]) => word));
    for (const workload of workloads()) {
      const { volumes, containers } = workload.spec.template.spec;
      const claims = (workload.spec.volumeClaimTemplates ?? []).map(({ metadata }: any) => metadata.name);
      const names = new Set([...volumes.map(({ name }: any) => name), ...claims]);
      for (const { volumeMounts } of containers) for (const { name } of volumeMounts) expect(names).toContain(name);
      for (const { secret, configMap, persistentVolumeClaim } of volumes) {
        if (configMap) expect(named('ConfigMap')).toContain(configMap.name);
        if (persistentVolumeClaim) expect(named('PersistentVolumeClaim')).toContain(persistentVolumeClaim.claimName);
        if (secret && !named('Secret').has(secret.secretName)) expect(explained).toContain(secret.secretName);
      }
      for (const { envFrom } of containers)
        for (const { configMapRef } of envFrom ?? []) expect(named('ConfigMap')).toContain(configMapRef.name);
    }
    for (const { spec } of of('Ingress')) for (const { secretName } of spec.tls) expect(explained).toContain(secretName);
  });

  it('gives each process its own secrets and no other’s', () => {
    for (const { metadata, spec } of of('Deployment')) {
      const secrets = spec.template.spec.volumes.flatMap(({ secret }: any) =>
        secret ? [secret.secretName.replace(/-[a-z0-9]{10}$/, '')] : [],
      );
      expect(secrets.filter((name: string) => name.endsWith('-credentials'))).toEqual([`${metadata.name}-credentials`]);
    }
    const holders = (key: string) =>
      of('Secret')
        .filter(({ data }) => data?.[key] !== undefined)
        .map(({ metadata }) => metadata.name.replace(/-[a-z0-9]{10}$/, ''));
    if (overlay === 'local') {
      expect(holders('token.pem')).toEqual(['gateway-credentials']);
      expect(holders('kms.key')).toEqual(['identity-credentials']);
    }
  });

  it.runIf(overlay === 'production')('has no secret in it, and no plain text between machines', () => {
    expect(of('Secret')).toEqual([]);
    expect(JSON.stringify(all)).not.toMatch(/postgres(ql)?:\/\/|-----BEGIN|nats:\/\/|http:\/\/(?!127\.0\.0\.1)/);
    const gateway = of('Deployment').find(({ metadata }) => metadata.name === 'gateway')!;
    const env = Object.fromEntries(containersOf(gateway)[0].env.map(({ name, value }: any) => [name, value]));
    expect(env['TENANTRY_HTTP_HOST']).toBe('127.0.0.1');
    expect(of('Service').find(({ metadata }) => metadata.name === 'gateway')!.spec.ports).toEqual([
      { name: 'https', port: 8443, targetPort: 'https' },
    ]);
  });

  it.runIf(overlay === 'production')('has a copy of the event stream on each of three brokers', () => {
    const nats = of('StatefulSet').find(({ metadata }) => metadata.name === 'nats')!;
    expect([nats.spec.replicas, settings()['TENANTRY_STREAM_REPLICAS'], settings()['TENANTRY_NATS_URL']!.split(',').length]).toEqual([
      3,
      '3',
      3,
    ]);
  });

  it('configures a broker that accepts it', async ({ skip }) => {
    const server = await natsServer();
    if (!server) return skip('no nats-server in PATH');
    const home = join(folder.path, `nats-${overlay}`);
    const text = of('ConfigMap').find(({ metadata }) => metadata.name.startsWith('nats-config-'))!.data!['nats.conf']!;
    await certificates(join(home, 'tls'));
    for (const path of ['config', 'credentials', 'data']) await mkdir(join(home, path), { recursive: true });
    await cp(join(folder.path, 'k8s/overlays/local/secrets/credentials/nats/accounts.conf'), join(home, 'credentials/accounts.conf'));
    const accounts = join(home, 'credentials/accounts.conf');
    await writeFile(accounts, (await readFile(accounts, 'utf8')).replaceAll('/data/', `${home}/data/`));
    await writeFile(join(home, 'config/nats.conf'), text.replaceAll('/etc/nats/', `${home}/`).replaceAll('/data/', `${home}/data/`));
    const { stderr } = await promisify(execFile)(server, ['-t', '-c', join(home, 'config/nats.conf')], {
      env: { ...process.env, POD_NAME: 'nats-0' },
    });
    expect(stderr).toMatch(/test|valid/i);
  });

  const settings = (): Record<string, string> => of('ConfigMap').find(({ metadata }) => metadata.name.startsWith('settings-'))!.data!;

  /** As a network plugin decides: what leaves one pod and what enters the other must both be allowed. */
  function reaches(from: string, to: string, port: number): boolean {
    const labels = (name: string) => labelsOf(workloads().find(({ metadata }) => metadata.name === name)!);
    const [source, target] = [labels(from), labels(to)];
    const allows = (rules: any[] | undefined, side: 'from' | 'to', peer: Record<string, string>) =>
      (rules ?? []).some(
        (rule) =>
          rule.ports.some((own: any) => own.port === port) &&
          rule[side].some(({ podSelector }: any) => podSelector !== undefined && selects(podSelector, peer)),
      );
    const of_ = (pod: Record<string, string>) => of('NetworkPolicy').filter(({ spec }) => selects(spec.podSelector, pod));
    return (
      of_(source).some(({ spec }) => allows(spec.egress, 'to', target)) &&
      of_(target).some(({ spec }) => allows(spec.ingress, 'from', source))
    );
  }
});

function selects(selector: { matchLabels?: Record<string, string>; matchExpressions?: any[] }, labels: Record<string, string>): boolean {
  const plain = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  return plain && (selector.matchExpressions ?? []).every(({ key, operator, values }) => operator === 'In' && values.includes(labels[key]));
}

async function natsServer(): Promise<string | undefined> {
  for (const path of ['nats-server', '/usr/sbin/nats-server']) {
    const found = await promisify(execFile)(path, ['--version']).then(
      () => path,
      () => undefined,
    );
    if (found) return found;
  }
  return undefined;
}

/** A key and a certificate that signs itself: the broker reads them when it reads its configuration. */
async function certificates(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const [key, certificate] = [join(folder, 'tls.key'), join(folder, 'tls.crt')];
  await promisify(execFile)('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=nats',
    '-keyout',
    key,
    '-out',
    certificate,
  ]);
  await cp(certificate, join(folder, 'ca.crt'));
}
