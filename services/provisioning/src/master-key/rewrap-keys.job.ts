import { Injectable } from '@nestjs/common';
import { rewrapKeys } from '@tenantry/contracts/identity/operations';
import { RpcClient } from '@tenantry/messaging/rpc';
import type { z } from 'zod';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';
import type { Failure } from '../operation/operation.js';

export const REWRAP_KEYS = 'rewrap-keys';
const SIGNING = 'signing keys';
const portionOf = (digit: number) => `tenants whose id ends in ${digit.toString(16)}`;
const PORTIONS = Array.from({ length: 16 }, (_, digit) => digit);

type Batch = z.infer<typeof rewrapKeys.output>;
type Cursor = NonNullable<Batch['from']>;

/** The keys of all tenants in sixteen parts, and those that documents are signed with. */
export const rewrapItems = () => [...PORTIONS.map(portionOf), SIGNING].map((target) => ({ tenantId: null, target }));

/** So many keys are named in the outcome of an item; the others are counted. */
const NAMED = 20;

/** Batch by batch: what was done is not done again, whoever goes on with it. A key that can't be opened stops none of the others. */
@Injectable()
export class RewrapKeys extends JobHandler<{ to: string }> {
  readonly type = REWRAP_KEYS;
  constructor(private readonly rpc: RpcClient) {
    super();
  }

  async run({ target }: JobItem, { params: { to } }: RunningJob<{ to: string }>, signal: AbortSignal): Promise<ItemOutcome> {
    const digit = PORTIONS.find((one) => portionOf(one) === target);
    if (digit === undefined && target !== SIGNING) throw new Error(`There is no such part: ${target}`);
    const named: string[] = [];
    let unopened = 0;
    let from: Cursor | null = null;
    for (let isLast = false; !isLast; ) {
      signal.throwIfAborted();
      // Each batch begins where the one before has ended.
      const batch: Batch = await this.rpc.call(rewrapKeys, { to, portion: digit ?? null, from });
      ({ from, isLast } = batch);
      unopened += batch.unopened.length;
      named.push(...batch.unopened.slice(0, NAMED - named.length).map((key) => nameOf(key, digit === undefined)));
    }
    return unopened === 0 ? { status: 'succeeded' } : { status: 'failed', why: notOpened(unopened, named) };
  }
}

const nameOf = ({ id, version }: Cursor, isSigning: boolean): string =>
  isSigning ? `signing key ${id}` : `tenant ${id} version ${version}`;

function notOpened(keys: number, named: readonly string[]): Failure {
  const others = keys > named.length ? ` and ${keys - named.length} more` : '';
  return {
    code: 'keys.not_opened',
    detail:
      `All keys but ${keys} are wrapped anew. These can't be opened: ${named.join(', ')}${others}. Keep the master keys that they need, ` +
      "put back identity's rows of them from a backup, then retry the operation",
  };
}
