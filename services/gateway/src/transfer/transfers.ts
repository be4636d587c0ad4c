import { Injectable } from '@nestjs/common';
import { Environment } from '@tenantry/service/environment';
import { TransferSlots } from '@tenantry/service/transfer-slots';

/** Each has a part of a file in memory. */
const IN_ALL = 256;

/** Files on their way to clients and from them. */
@Injectable()
export class Transfers extends TransferSlots {
  constructor(environment: Environment) {
    super(environment.values.TENANTRY_TENANT_TRANSFERS, IN_ALL, [
      'tenantry_transfers_in_flight',
      "Uploads and downloads of tenants' files that are worked on",
    ]);
  }
}
