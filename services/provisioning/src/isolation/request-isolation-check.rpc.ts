import { Controller } from '@nestjs/common';
import { requestIsolationCheck } from '@tenantry/contracts/platform/isolation';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { IsolationChecks } from './isolation-checks.js';
import { operationRef } from './operation-ref.js';

@Controller()
export class RequestIsolationCheckRpc {
  constructor(private readonly checks: IsolationChecks) {}

  @Handles(requestIsolationCheck)
  async handle({ body, command }: Call<typeof requestIsolationCheck>): Reply<typeof requestIsolationCheck> {
    const id = await this.checks.start(body.tenantIds, command);
    const operation = operationRef(id);
    return { status: 202, body: { id, operation }, location: operation.url };
  }
}
