import { Injectable } from '@nestjs/common';
import { DomainError, type ErrorCode } from '@tenantry/contracts/errors';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { faces, routes } from '@tenantry/contracts/registry';
import type { Face, Route } from '@tenantry/contracts/route';
import { breached, held, notApplicable } from '../attempt.js';
import { alone, Probe, type Subject } from '../probe.js';
import { type ApiAnswer, TenantApi } from '../tenant-api.js';

/** Requests at once: a tenant has the same few as any other. */
const AT_ONCE = 4;
const NOTHING = '00000000-0000-4000-8000-000000000000';

/** A path with every parameter filled: the tenant's with its id, others with what names nothing. */
export const pathFor = (path: string, tenantId: string): string =>
  path.replace(/:(\w+)/g, (_, name: string) => (name === 'tenantId' ? tenantId : name.endsWith('Id') ? NOTHING : 'x'));

// Only what reads: where the boundary gives way, nothing is broken.
const ofTenants = faces.filter(({ method, scope, path }) => method === 'GET' && scope === 'tenant' && path.includes(':tenantId'));
const ofPlatform = routes.filter(({ method, scope }) => method === 'GET' && scope === 'platform');

interface Request {
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
const nameOf = ({ method, path }: Pick<Route | Face, 'method' | 'path'>) => `${method} ${path}`;

/** The API: with this tenant's key for what is another's, and with another's key for what is this one's; every way that the registry names. */
@Injectable()
export class ApiProbe extends Probe {
  constructor(private readonly api: TenantApi) {
    super();
  }

  async attempts(subject: Subject, signal: AbortSignal): Promise<Attempt[]> {
    const { tenantId, peer, nonce } = subject;
    const [own, foreign] = await Promise.all([this.api.key(tenantId), peer && this.api.key(peer.tenantId)]);
    const as = (key: string) => ({ authorization: `Bearer ${key}` });
    const requests: Request[] = [
      ...ofPlatform.map((route) => ({
        ...{ target: nameOf(route), attempt: "with this tenant's key", headers: as(own), judge: refusedAs('auth.forbidden') },
        path: pathFor(route.path, peer?.tenantId ?? tenantId),
      })),
      ...ofTenants.flatMap((face) => [
        ...(peer && foreign
          ? [
              {
                ...{ target: nameOf(face), attempt: "another tenant's, with this tenant's key", headers: as(own) },
                judge: refusedAs('tenant.not_found'),
                path: pathFor(face.path, peer.tenantId),
              },
              {
                ...{ target: nameOf(face), attempt: "this tenant's, with another tenant's key", headers: as(foreign) },
                judge: refusedAs('tenant.not_found'),
                path: pathFor(face.path, tenantId),
              },
            ]
          : []),
        {
          ...{ target: nameOf(face), attempt: "this tenant's, without credentials", headers: {} },
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
    if (peer && foreign)
      tried.push(...(await this.headers(subject, own, peer.tenantId)), ...(await this.replay(own, foreign, subject, peer.tenantId, nonce)));
    return tried;
  }

  private async send({ target, attempt, path, headers, judge }: Request): Promise<Attempt> {
    const answer = await this.answer('GET', path, headers);
    const fault = judge(answer);
    return { boundary: 'api', target, ...(fault === null ? held(attempt, `it answered ${answer.status}`) : breached(attempt, fault)) };
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
    if (answer.body?.code !== 'tenant.maintenance' && (answer.status === 429 || answer.status >= 500))
      throw new DomainError('service.unavailable', {
        detail: `The API answered ${answer.status} during an isolation check.`,
        retryAfterSeconds: 1,
      });
    return answer;
  }
}
