import { Injectable } from '@nestjs/common';
import { normalizeHost } from '@tenantry/contracts/domain/host';
import { reserveHost } from '@tenantry/contracts/domain/routes';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { DomainRequest } from '@tenantry/contracts/tenant/events';
import { Reservations } from '@tenantry/messaging/reservations';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Environment } from '@tenantry/service/environment';
import type { Draft } from './registration.js';
import { slugCandidates } from './slug.js';

/** How long a name is kept for a registration that has not happened yet. */
const RESERVED_MS = 60_000;

/** Reserves the names of a new tenant: its slug here, its subdomain at domain-ssl. */
@Injectable()
export class Names {
  private readonly baseDomain: string;

  constructor(
    private readonly reservations: Reservations,
    private readonly rpc: RpcClient,
    environment: Environment,
  ) {
    this.baseDomain = environment.values.TENANTRY_BASE_DOMAIN;
  }

  /** Idempotent for the same tenant. @throws DomainError `tenant.slug_taken`, `domain.taken`, `domain.invalid` */
  async reserve(tenantId: string, draft: Draft): Promise<{ slug: string; domain: DomainRequest }> {
    const explicit = draft.domain === null ? null : normalizeHost(draft.domain, this.baseDomain);
    const candidates = draft.slug === null ? slugCandidates(draft.name, tenantId) : [draft.slug];
    let domainTaken = false;
    for (const slug of candidates) {
      const domain = explicit ?? this.ownSubdomain(slug, draft.slug !== null);
      if (!domain) continue;
      // In this order: of many that want both, only who has the slug asks for the host, so that one of them gets both.
      if (await this.slugTaken(tenantId, slug)) continue;
      if (!(await this.hostTaken(tenantId, domain))) return { slug, domain };
      await this.reservations.release('slug', slug, tenantId);
      domainTaken = true;
      if (explicit) break;
    }
    if (domainTaken && explicit)
      throw invalidField('domain', 'unique', `${explicit.host} is taken; choose another host name`, 'domain.taken');
    throw new DomainError('tenant.slug_taken', {
      detail: `The slug ${candidates[0]} is taken; choose another one.`,
      errors: [{ field: 'slug', rule: 'unique', message: 'is taken; choose another one' }],
    });
  }

  /** Null where a derived slug makes no acceptable label (a reserved word, say): the next candidate is tried. */
  private ownSubdomain(slug: string, slugIsExplicit: boolean): DomainRequest | null {
    try {
      return normalizeHost({ type: 'subdomain', value: slug }, this.baseDomain);
    } catch (error) {
      if (!slugIsExplicit && error instanceof DomainError) return null;
      if (error instanceof DomainError)
        throw invalidField(
          'slug',
          'usable_as_subdomain',
          `cannot be the tenant's subdomain (${error.detail}); name a domain or another slug`,
        );
      throw error;
    }
  }

  private async slugTaken(tenantId: string, slug: string): Promise<boolean> {
    return (await this.reservations.reserve('slug', slug, { tenantId, claim: 'tenant', ttlMs: RESERVED_MS })) !== 'reserved';
  }

  private async hostTaken(tenantId: string, domain: DomainRequest): Promise<boolean> {
    if (domain.type === 'custom') return false; // exclusive once verified
    return !(await this.rpc.call(reserveHost, { tenantId, host: domain.host, ttlMs: RESERVED_MS })).reserved;
  }
}
