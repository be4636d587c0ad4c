import { Injectable } from '@nestjs/common';
import { DomainError, type ErrorCode } from '@tenantry/contracts/errors';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { faces, routes } from '@tenantry/contracts/registry';
import type { Face, Route } from '@tenantry/contracts/route';
import { createApiKey } from '@tenantry/crypto/api-key';
import { newTokenKeys, TokenSigner } from '@tenantry/crypto/token';
import { breached, held, notApplicable } from '../attempt.js';
import { alone, Probe, type Subject } from '../probe.js';
import { type ApiAnswer, TenantApi } from '../tenant-api.js';

/** Requests at once: a tenant has the same few as any other. */
const AT_ONCE = 4;
const NOTHING = '00000000-0000-4000-8000-000000000000';

/** A path with every parameter filled: the tenant's with its id, others with what names nothing. */
export const pathFor = (path: string, tenantId: string): string =>
  path.replace(/:(\w+)/g, (_, name: string) => (name === 'tenantId' ? tenantId : name.endsWith('Id') ? NOTHING : 'x'));

/**
 * No route takes it for its body, and those without one refuse any: a write that got past the boundary would end there (who asks is looked
 * at before what is asked), and nothing is broken.
 */
export const UNUSABLE_BODY: unknown = ['isolation check'];
const ofTenants = faces.filter(({ scope, path }) => scope === 'tenant' && path.includes(':tenantId'));
const ofPlatform = routes.filter(({ scope }) => scope === 'platform');

interface Request {
  method: Route['method'];
  target: string;
  attempt: string;
  path: string;
  headers: Record<string, string>;
  /** Null: it held. */
  judge: (answer: ApiAnswer) => string | null;
}

/** Refused for who asks: any other refusal (of a parameter, of something that isn't there) would come after it got past the boundary. */
const refusedAs = (code: ErrorCode) => (answer: ApiAnswer) =>
  answer.body?.code === code ? null : `it answered ${answer.status} ${answer.body?.code ?? ''}`.trimEnd();
const closed: ReadonlySet<unknown> = new Set<ErrorCode>(['tenant.suspended', 'tenant.archived', 'tenant.deleting', 'tenant.maintenance']);
const nameOf = ({ method, path }: Pick<Route | Face, 'method' | 'path'>) => `${method} ${path}`;

/** The API: with this tenant's key for what is another's, and with another's key for what is this one's; every way that the registry names. */
@Injectable()
export class ApiProbe extends Probe {
  private readonly forger = new TokenSigner(newTokenKeys().privateKey);

  constructor(private readonly api: TenantApi) {
    super();
  }

  async attempts(subject: Subject, signal: AbortSignal): Promise<Attempt[]> {
    const { tenantId, peer, nonce } = subject;
    const [own, foreign] = await Promise.all([this.api.key(tenantId), peer && this.api.key(peer.tenantId)]);
    const as = (key: string) => ({ authorization: `Bearer ${key}` });
    const requests: Request[] = [
      ...ofPlatform.map((route) => ({
        ...{
          method: route.method,
          target: nameOf(route),
          attempt: "with this tenant's key",
          headers: as(own),
          judge: refusedAs('auth.forbidden'),
        },
        path: pathFor(route.path, peer?.tenantId ?? tenantId),
      })),
      ...ofTenants.flatMap((face) => [
        ...(peer && foreign
          ? [
              {
                ...{ method: face.method, target: nameOf(face), attempt: "another tenant's, with this tenant's key", headers: as(own) },
                judge: refusedAs('tenant.not_found'),
                path: pathFor(face.path, peer.tenantId),
              },
              {
                ...{ method: face.method, target: nameOf(face), attempt: "this tenant's, with another tenant's key", headers: as(foreign) },
                judge: refusedAs('tenant.not_found'),
                path: pathFor(face.path, tenantId),
              },
            ]
          : []),
        {
          ...{ method: face.method, target: nameOf(face), attempt: "this tenant's, without credentials", headers: {} },
          judge: refusedAs('auth.unauthenticated'),
          path: pathFor(face.path, tenantId),
        },
      ]),
    ];
    const tried: Attempt[] = peer ? [] : [alone('api', '/api/tenants')];
    for (let from = 0; from < requests.length; from += AT_ONCE) {
      signal.throwIfAborted();
      tried.push(...(await Promise.all(requests.slice(from, from + AT_ONCE).map((request) => this.send(request)))));
    }
    tried.push(...(await this.forged(subject, own, foreign)));
    if (peer && foreign) tried.push(...(await this.resources(subject, own, foreign)));
    if (peer && foreign)
      tried.push(...(await this.headers(subject, own, peer.tenantId)), ...(await this.replay(own, foreign, subject, peer.tenantId, nonce)));
    return tried;
  }

  private async send({ method, target, attempt, path, headers, judge }: Request): Promise<Attempt> {
    const answer = await this.answer(method, path, headers, method === 'GET' ? undefined : UNUSABLE_BODY);
    const fault = judge(answer);
    return { boundary: 'api', target, ...(fault === null ? held(attempt, `it answered ${answer.status}`) : breached(attempt, fault)) };
  }

  /** Credentials that nobody issued. Few of them: an address from which many come is held off. */
  private async forged({ tenantId }: Subject, own: string, foreign: string | null): Promise<Attempt[]> {
    const [, environment = 'live'] = own.split('_');
    const halves = foreign === null ? createApiKey(environment).key : own.slice(0, own.length / 2) + foreign.slice(own.length / 2);
    const staff = { kind: 'staff', id: 'isolation-check', permissions: ['*'] } as const;
    const made: [string, string][] = [
      ['with a key in the right form that nobody issued', createApiKey(environment).key],
      ['with a key of two halves', halves],
      ['with a token that it signed itself', this.forger.sign({ ...staff, permissions: [...staff.permissions] }, 'gateway')],
    ];
    const target = 'GET /api/tenants/:tenantId';
    return Promise.all(
      made.map(async ([attempt, credential]): Promise<Attempt> => {
        const answer = await this.api.ask('GET', pathFor('/api/tenants/:tenantId', tenantId), { authorization: `Bearer ${credential}` });
        if (answer.status === 429 || answer.status >= 500) throw unavailable(answer.status);
        const fault = refusedAs('auth.unauthenticated')(answer);
        return {
          boundary: 'tokens',
          target,
          ...(fault === null ? held(attempt, `it answered ${answer.status}`) : breached(attempt, fault)),
        };
      }),
    );
  }

  /** What is another tenant's has ids of its own: below this tenant's path, they name nothing. */
  private async resources({ tenantId, peer }: Subject, own: string, foreign: string): Promise<Attempt[]> {
    const attempt = "another tenant's id below its own path";
    const named = ofTenants.filter(({ method, path }) => method === 'GET' && /\/:(?!tenantId)\w+Id$/.test(path));
    return Promise.all(
      named.map(async ({ path }): Promise<Attempt> => {
        const list = path.replace(/\/:\w+$/, '');
        const at = { boundary: 'api', target: `GET ${path}` } as const;
        const { body } = await this.answer('GET', pathFor(list, peer?.tenantId ?? ''), { authorization: `Bearer ${foreign}` });
        const items: { id?: string }[] = Array.isArray(body) ? body : (body?.items ?? []);
        const id = items.find((item) => item.id !== undefined)?.id;
        if (id === undefined) return { ...at, ...notApplicable(attempt, 'the other tenant has none') };
        const answer = await this.answer('GET', `${pathFor(list, tenantId)}/${id}`, { authorization: `Bearer ${own}` });
        if (answer.status === 404) return { ...at, ...held(attempt, 'it answered 404') };
        // Who is closed, or under maintenance, is refused before anything is looked for.
        const isClosed = closed.has(answer.body?.code);
        return {
          ...at,
          ...(isClosed
            ? notApplicable(attempt, `the tenant itself is not served (${answer.status})`)
            : breached(attempt, `it answered ${answer.status}`)),
        };
      }),
    );
  }

  /** A tenant that is only named, in a header or a query, is not believed. */
  private async headers({ tenantId }: Subject, key: string, foreign: string): Promise<Attempt[]> {
    const names = ['x-tenant-id', 'tenantry-tenant', 'x-tenant', 'x-forwarded-host'];
    const attempt = 'name another tenant in headers';
    const target = 'GET /api/tenants/current';
    const { status, body } = await this.answer('GET', '/api/tenants/current', {
      authorization: `Bearer ${key}`,
      ...Object.fromEntries(names.map((name) => [name, foreign])),
    });
    if (status !== 200) return [{ boundary: 'api', target, ...notApplicable(attempt, `the tenant itself is not served (${status})`) }];
    return [
      {
        ...{ boundary: 'api', target },
        ...(body?.tenant_id === tenantId
          ? held(attempt, 'the answer is about the tenant of the key')
          : breached(attempt, 'the answer is about another tenant')),
      },
    ];
  }

  /** The first answer to an idempotency key belongs to who asked: the same key of another tenant neither gets it nor clashes with it. */
  private async replay(own: string, foreign: string, { tenantId }: Subject, peer: string, nonce: string): Promise<Attempt[]> {
    const attempt = "repeat another tenant's idempotency key";
    const target = 'POST /api/tenants/:tenantId/quotas/check';
    const ask = (key: string, id: string) =>
      this.answer(
        'POST',
        `/api/tenants/${id}/quotas/check`,
        { authorization: `Bearer ${key}`, 'idempotency-key': `isolation-${nonce}` },
        { resource_type: 'users', amount: 1 },
      );
    const first = await ask(foreign, peer);
    const second = await ask(own, tenantId);
    if (first.status !== 200 || second.status >= 500 || [401, 403].includes(second.status))
      return [{ boundary: 'cache', target, ...notApplicable(attempt, `the tenants are not served (${first.status}, ${second.status})`) }];
    return [
      {
        ...{ boundary: 'cache', target },
        ...(second.status === 200
          ? held(attempt, 'each got an answer of its own')
          : breached(attempt, `the second was answered ${second.status}`)),
      },
    ];
  }

  private async answer(method: string, path: string, headers: Record<string, string>, body?: unknown): Promise<ApiAnswer> {
    const answer = await this.api.ask(method, path, headers, body);
    // The key has ended: whatever is refused with it was not tried.
    if (answer.status === 401 && headers['authorization'] !== undefined)
      throw new DomainError('service.unavailable', { detail: 'A key ended during an isolation check.', retryAfterSeconds: 1 });
    // Who is under maintenance is refused like any other. Else it says nothing of the boundary.
    if (answer.body?.code !== 'tenant.maintenance' && (answer.status === 429 || answer.status >= 500)) throw unavailable(answer.status);
    return answer;
  }
}

const unavailable = (status: number) =>
  new DomainError('service.unavailable', { detail: `The API answered ${status} during an isolation check.`, retryAfterSeconds: 1 });
