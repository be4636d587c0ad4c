import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { getErasureExport } from '@tenantry/contracts/tenant/erasure-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { z } from 'zod';
import { Erasures } from './erased.js';
import { exportKeySubject } from './tenant-export.js';

const Written = z.object({ location: z.string(), expiresAt: z.string(), files: z.number(), bytes: z.number() });

@Controller()
export class GetErasureExportRpc {
  constructor(
    private readonly erasures: Erasures,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  @Handles(getErasureExport)
  async handle({ tenantId }: Call<typeof getErasureExport>): Reply<typeof getErasureExport> {
    const { operationId, results } = await this.erasures.of(tenantId);
    const { location, expiresAt, files, bytes } = Written.parse(results['export']);
    if (Date.parse(expiresAt) <= this.clock.nowMs())
      throw new DomainError('erasure.export_expired', { detail: `It could be opened until ${expiresAt}; its key was destroyed then.` });
    const subject = exportKeySubject(operationId);
    const key = (await this.keyring.keys(PLATFORM_LOG, [subject])).get(subject);
    if (!key) throw new Error('the export has no key');
    return { status: 200, body: { location, expiresAt, files, bytes, key: key.key.toString('base64') }, secret: true };
  }
}
