import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TenantEvent } from './event.js';

export interface ApiOptions {
  /** Of the gateway, such as `https://tenantry.example`. */
  url: string;
  /** Of the platform, or of one tenant (`surface: 'tenant'`). Needs `event:read`; `personal:read` to decrypt. */
  apiKey: string;
  /** Whose key it is. Default `platform`. */
  surface?: 'platform' | 'tenant';
  /** Of one attempt. Default 15,000. */
  timeoutMs?: number;
  /** Attempts at what failed for a while: 429, 502, 503, 504, and no answer at all. Default 5. */
  attempts?: number;
  fetch?: typeof fetch;
}

/** What the API refused, as its problem document (RFC 9457) says it. */
export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 where there was no answer. */
    readonly status: number,
    /** Stable, such as `tenant.not_found`; `no_answer` where there was none. */
    readonly code: string,
    detail: string,
    readonly errors: readonly { field: string; rule: string; message: string }[] = [],
    readonly retryAfterSeconds?: number,
    options?: ErrorOptions,
  ) {
    super(detail, options);
    this.name = 'ApiError';
  }
}

/** An event subscription, as it is answered when it is made. `credentials` is shown that once: keep it as you keep passwords. */
export interface EventSubscription {
  id: string;
  name: string;
  status: 'active' | 'paused' | 'revoked';
  tenants: 'all' | string[];
  contexts: 'all' | string[];
  types: string[] | null;
  from: Start;
  natsUrl: string;
  stream: string;
  consumers: { name: string; filterSubject: string }[];
  inboxPrefix: string | null;
  /** When the credentials stop working; null: not by themselves. */
  credentialsExpireAt?: string | null;
  createdAt: string;
  credentials?: string;
}
/** Of the placement with that generation. */
export interface DatabaseLogin {
  database: string;
  user: string;
  password: string;
  generation: number;
}
/** Where a subscription begins: with what comes now, with the first event there is, at an instant, or at a position of each tenant's log. */
export type Start = 'new' | 'first' | { time: string } | { positions: Record<string, number> };
export interface NewEventSubscription {
  name: string;
  tenants: 'all' | string[];
  contexts: 'all' | string[];
  types?: string[];
  from: Start;
}

export interface EventPage {
  items: TenantEvent[];
  /** Position of the last event of the log; -1 for none. */
  head: number;
}
export type ClearEvent = Pick<TenantEvent, 'position' | 'id' | 'type' | 'version' | 'data'>;

const PASSING = new Set([429, 502, 503, 504]);
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;

/** The part of the HTTP API that a subscriber needs. Requests that change something carry an Idempotency-Key, so that they can be repeated. */
export class TenantryApi {
  readonly surface: 'platform' | 'tenant';
  private readonly base: string;

  constructor(private readonly options: ApiOptions) {
    this.surface = options.surface ?? 'platform';
    this.base = options.url.replace(/\/+$/, '') + (this.surface === 'platform' ? '/api/v1/platform' : '/api');
  }

  /** Events after a position, oldest first. The log's end is reached where the last one is at `head`. @throws ApiError `tenant.not_found`, `auth.forbidden` … */
  async events(tenantId: string, after: number, limit = 200, signal?: AbortSignal): Promise<EventPage> {
    const { body, headers } = await this.ask('GET', `/tenants/${tenantId}/events?after=${after}&limit=${limit}`, undefined, signal);
    if (this.surface === 'platform') return body as EventPage;
    const items = (body as Record<string, unknown>[]).map(
      ({ tenant_id, recorded_at, previous_in_context, stream_version: _, body_hash: __, ...same }) =>
        ({ ...same, tenantId: tenant_id, recordedAt: recorded_at, previousInContext: previous_in_context }) as unknown as TenantEvent,
    );
    return { items, head: Number(headers.get('x-total-count')) - 1 };
  }

  /**
   * Events' data with personal data in clear; null where its key was destroyed.
   * @param positions at most 200, within 1,000 of each other
   * @returns those that the log has; `remaining` did not fit into the answer
   */
  async decrypt(
    tenantId: string,
    positions: readonly number[],
    signal?: AbortSignal,
  ): Promise<{ items: ClearEvent[]; remaining: number[] }> {
    return (await this.ask('POST', `/tenants/${tenantId}/events/decrypt`, { positions }, signal)).body as never;
  }

  /** Ids of all tenants. Platform keys only, with `tenant:read`. */
  async *tenants(signal?: AbortSignal): AsyncGenerator<string> {
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await this.ask('GET', `/tenants?limit=200${query}`, undefined, signal);
      const page = body as { items: { id: string }[]; nextCursor: string | null };
      for (const { id } of page.items) yield id;
      cursor = page.nextCursor;
    }
  }

  /** The login of the database that a tenant lives in, and of the one that it is being moved to: its own, or of a further one that many share. Not of the control plane's. Platform keys only, with `placement:connect`. @throws ApiError `placement.not_found` */
  async databaseLogin(tenantId: string): Promise<DatabaseLogin & { next: DatabaseLogin | null }> {
    return (await this.ask('GET', `/tenants/${tenantId}/database-login`)).body as never;
  }

  /** Makes a subscription and its credentials, with a platform key. @throws ApiError `request.invalid`, `event_subscription.too_wide` */
  async createEventSubscription(wanted: NewEventSubscription): Promise<EventSubscription & { credentials: string }> {
    return (await this.ask('POST', '/event-subscriptions', wanted)).body as never;
  }
  /** Ends a subscription for good. */
  async revokeEventSubscription(id: string): Promise<void> {
    await this.ask('DELETE', `/event-subscriptions/${id}`);
  }

  private async ask(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<{ body: unknown; headers: Headers }> {
    const idempotencyKey = method === 'GET' ? undefined : randomUUID();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.once(method, path, body, idempotencyKey, signal);
      } catch (error) {
        const passing = error instanceof ApiError && (error.status === 0 || PASSING.has(error.status));
        if (!passing || attempt >= (this.options.attempts ?? 5) || signal?.aborted) throw error;
        const backoffMs = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
        await sleep(Math.max(backoffMs, (error.retryAfterSeconds ?? 0) * 1000), undefined, { signal });
      }
    }
  }

  private async once(method: string, path: string, body: unknown, idempotencyKey: string | undefined, signal?: AbortSignal) {
    const timeout = AbortSignal.timeout(this.options.timeoutMs ?? 15_000);
    let response: Response;
    let text: string;
    try {
      response = await (this.options.fetch ?? fetch)(this.base + path, {
        method,
        headers: {
          authorization: `Bearer ${this.options.apiKey}`,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      text = await response.text();
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw new ApiError(0, 'no_answer', `There was no answer from ${this.base}`, [], undefined, { cause });
    }
    if (response.ok) return { body: text === '' ? undefined : (JSON.parse(text) as unknown), headers: response.headers };
    throw refusal(response, text);
  }
}

function refusal({ status, headers }: Response, text: string): ApiError {
  let problem: { code?: string; detail?: string; title?: string; errors?: ApiError['errors'] } = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // A proxy on the way answers in a form of its own: its status is what is known.
  }
  const retryAfter = Number(headers.get('retry-after') ?? Number.NaN);
  const detail = problem.detail ?? problem.title ?? `The answer was ${status}`;
  return new ApiError(
    status,
    problem.code ?? `http_${status}`,
    detail,
    problem.errors ?? [],
    Number.isNaN(retryAfter) ? undefined : retryAfter,
  );
}
