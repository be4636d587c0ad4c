import { execFile } from 'node:child_process';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type TemporaryFolder, temporaryFolder } from '@tenantry/testing/tmp';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);
export const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Only what the specs look at; the schemas check the rest. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  spec?: any;
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  automountServiceAccountToken?: boolean;
}

/** Path and version of kubectl; undefined where there is none with kustomize. */
export async function kubectl(): Promise<{ path: string; version: string } | undefined> {
  const path = process.env['KUBECTL'] ?? 'kubectl';
  try {
    const { stdout } = await run(path, ['version', '--client', '-o', 'json']);
    const { clientVersion } = JSON.parse(stdout) as { clientVersion: { gitVersion: string } };
    return { path, version: clientVersion.gitVersion };
  } catch {
    return undefined;
  }
}

/** A copy of the manifests with fresh credentials for the local overlay. */
export async function manifests(): Promise<TemporaryFolder> {
  const folder = await temporaryFolder();
  await cp(join(root, 'k8s'), join(folder.path, 'k8s'), { recursive: true });
  const out = join(folder.path, 'k8s/overlays/local/secrets/credentials');
  await rm(out, { recursive: true, force: true });
  await run(process.execPath, [join(root, 'deploy/dist/credentials/main.js'), '--out', out]);
  return folder;
}

/** @throws Error with what kustomize says */
export async function build(kubectlPath: string, overlay: string): Promise<Manifest[]> {
  const { stdout } = await run(kubectlPath, ['kustomize', overlay], { maxBuffer: 32 * 1024 * 1024 });
  return parseAllDocuments(stdout).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    const manifest = document.toJS() as Manifest;
    // kustomize breaks long lines of base64; Kubernetes passes over that, the schema's pattern doesn't.
    if (manifest.kind === 'Secret')
      for (const [key, value] of Object.entries(manifest.data ?? {})) manifest.data![key] = value.replaceAll(/\s/g, '');
    return manifest;
  });
}
