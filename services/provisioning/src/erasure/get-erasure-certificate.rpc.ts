import { Controller } from '@nestjs/common';
import { ErasureCertificate, getErasureCertificate } from '@tenantry/contracts/tenant/erasure-routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Erasures } from './erased.js';

@Controller()
export class GetErasureCertificateRpc {
  constructor(private readonly erasures: Erasures) {}

  @Handles(getErasureCertificate)
  async handle({ tenantId }: Call<typeof getErasureCertificate>): Reply<typeof getErasureCertificate> {
    const { results } = await this.erasures.of(tenantId);
    return { status: 200, body: ErasureCertificate.parse(results['certify']?.['certificate']) };
  }
}
