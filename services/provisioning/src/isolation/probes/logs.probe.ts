import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { Environment } from '@tenantry/service/environment';
import { breached, held, notApplicable, type Tried } from '../attempt.js';
import { Probe, type Subject } from '../probe.js';
import { TenantApi } from '../tenant-api.js';

/** The newest part of each file: what was asked a moment ago is in there, if anywhere. */
const TAIL_BYTES = 512 * 1024;
const WRITTEN_MS = 200;

/** Logs: what a tenant sends, its credentials first of all, is not written down where operators of other tenants look. */
@Injectable()
export class LogsProbe extends Probe {
  private readonly folder: string;
  constructor(
    private readonly api: TenantApi,
    { values }: Environment,
  ) {
    super();
    this.folder = join(values.TENANTRY_DATA_DIR, 'logs');
  }

  async attempts({ tenantId, nonce }: Subject): Promise<Attempt[]> {
    const attempt = "look for the tenant's credentials and what it sent";
    const at = { boundary: 'logs', target: 'logs of all processes' } as const;
    const files = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (files === null)
      return [
        { ...at, ...notApplicable(attempt, 'the processes don’t write to files here; what collects their output has its own rules') },
      ];
    const key = await this.api.key(tenantId);
    // Refused, which is when a log is most likely to say more than it should.
    await this.api.ask(
      'POST',
      `/api/tenants/${tenantId}/quotas/check`,
      { authorization: `Bearer ${key}` },
      { resource_type: nonce, amount: 'x' },
    );
    await new Promise((resolve) => setTimeout(resolve, WRITTEN_MS));
    const hits: string[] = [];
    for (const file of files.filter((name) => name.endsWith('.log'))) {
      const text = await tailOf(join(this.folder, file));
      if (text.includes(key) || text.includes(nonce)) hits.push(file);
    }
    const tried: Tried = hits.length > 0 ? breached(attempt, `found in ${hits.join(', ')}`) : held(attempt, `not in ${files.length} files`);
    return [{ ...at, ...tried }];
  }
}

async function tailOf(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead).toString('latin1');
  } finally {
    await file.close();
  }
}
