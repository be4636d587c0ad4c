import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
  /** Removes it with everything in it; a second call does nothing. */
  remove(): Promise<void>;
}

/** A new folder below the system's temporary one. `mode` 0o755 where another account must pass through it. */
export async function temporaryFolder(prefix = 'tenantry-', mode = 0o700): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  await chmod(path, mode);
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  return { path, remove, [Symbol.asyncDispose]: remove };
}
