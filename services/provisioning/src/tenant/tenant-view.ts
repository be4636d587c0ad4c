import type { Tenant as TenantBody } from '@tenantry/contracts/tenant/bodies';
import type { Keyring } from '@tenantry/crypto/keyring';
import type { RegisteredTenant } from './tenant.js';

type At = { version: number; position: number };

/** As the API shows it, contacts in clear. */
export async function tenantView(keyring: Keyring, id: string, state: RegisteredTenant, { version, position }: At): Promise<TenantBody> {
  const { deletion } = state;
  const [adminEmail, billingEmail, contactPhone, reason, said] = await Promise.all(
    [state.adminEmail, state.billingEmail, state.contactPhone, state.statusReason ?? undefined, deletion?.feedback?.text].map((value) =>
      value === undefined ? null : keyring.reveal(id, value),
    ),
  );
  return {
    id,
    name: state.name,
    slug: state.slug,
    status: state.status,
    statusReason: reason ?? state.statusCause,
    statusCause: state.statusCause,
    plan: { id: state.plan.id, version: state.plan.version },
    priority: state.priority,
    isolation: state.isolation,
    region: state.region,
    domain: state.domain.host,
    adminEmail: adminEmail ?? null,
    billingEmail: billingEmail ?? null,
    contactPhone: contactPhone ?? null,
    timezone: state.timezone,
    locale: state.locale,
    language: state.language,
    currency: state.currency,
    theme: state.theme,
    tags: state.tags,
    parentId: state.parentId ?? null,
    features: state.features,
    activation: state.activation,
    deletion: deletion && {
      ...{ graceEndsAt: deletion.graceEndsAt, erasing: deletion.erasing, winBack: deletion.winBack },
      feedback: deletion.feedback ? { category: deletion.feedback.category, text: said ?? null } : null,
    },
    legalHold: state.legalHold !== null,
    createdAt: state.createdAt,
    updatedAt: state.updatedAt,
    version,
    position,
  };
}
