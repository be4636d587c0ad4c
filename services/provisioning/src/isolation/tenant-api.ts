import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { issueProbeKey } from '@tenantry/contracts/identity/operations';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Environment } from '@tenantry/service/environment';

const HTTP_TIMEOUT_MS = 5_000;

export interface ApiAnswer {
  status: number;
  /** Null where it is no JSON. */
  body: any;
  durationMs: number;
}

/** The API as a tenant uses it: over HTTP, with a key that lives for a minute and may only read. */
@Injectable()
export class TenantApi {
  private readonly gatewayUrl: string | undefined;
  constructor(
    private readonly rpc: RpcClient,
    environment: Environment,
  ) {
    this.gatewayUrl = environment.values.TENANTRY_GATEWAY_URL;
  }

  async key(tenantId: string): Promise<string> {
    return (await this.rpc.call(issueProbeKey, { tenantId })).key;
  }

  /** @throws DomainError `service.unavailable` where the gateway gives no answer, or not now */
  async ask(method: string, path: string, headers: Record<string, string> = {}, body?: unknown): Promise<ApiAnswer> {
    if (!this.gatewayUrl)
      throw new DomainError('service.unavailable', { detail: 'TENANTRY_GATEWAY_URL is not set, so the API could not be called.' });
    const begun = performance.now();
    const response = await fetch(this.gatewayUrl + path, {
      ...{ method, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, redirect: 'manual' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
    }).catch((error: unknown) => {
      throw new DomainError('service.unavailable', { detail: 'The gateway could not be reached.', cause: error });
    });
    const text = await response.text();
    return { status: response.status, body: parsed(text), durationMs: Math.round(performance.now() - begun) };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
