import { Injectable } from '@nestjs/common';
import { rewrapKeys } from '@tenantry/contracts/identity/operations';
import { RpcClient } from '@tenantry/messaging/rpc';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';

export const REWRAP_KEYS = 'rewrap-keys';
const SIGNING = 'signing keys';
const named = (digit: number) => `tenants whose id ends in ${digit.toString(16)}`;
const PORTIONS = Array.from({ length: 16 }, (_, digit) => digit);

/** The keys of all tenants in sixteen parts, and those that documents are signed with. */
export const rewrapItems = () => [...PORTIONS.map(named), SIGNING].map((target) => ({ tenantId: null, target }));

/** Batch by batch: what was done is not done again, whoever goes on with it. */
@Injectable()
export class RewrapKeys extends JobHandler<{ to: string }> {
  readonly type = REWRAP_KEYS;
  constructor(private readonly rpc: RpcClient) {
    super();
  }

  async run({ target }: JobItem, { params: { to } }: RunningJob<{ to: string }>, signal: AbortSignal): Promise<ItemOutcome> {
    const digit = PORTIONS.find((one) => named(one) === target);
    if (digit === undefined && target !== SIGNING) throw new Error(`There is no such part: ${target}`);
    let from: string | null = null;
    for (let isLast = false; !isLast; ) {
      signal.throwIfAborted();
      // Each batch begins where the one before has ended.
      ({ from, isLast } = await this.rpc.call(rewrapKeys, { to, portion: digit ?? null, from }));
    }
    return { status: 'succeeded' };
  }
}
