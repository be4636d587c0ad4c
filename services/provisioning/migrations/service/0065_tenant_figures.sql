-- What the list of tenants shows and sorts by besides. These are filled by the projection, which is rebuilt.
ALTER TABLE tenants
  ADD COLUMN users integer NOT NULL DEFAULT 0,
  -- When somebody of the tenant, or a key of it, last changed something.
  ADD COLUMN changed_at timestamptz,
  -- The last operation that ended without success, until it is retried or another one succeeds.
  ADD COLUMN failed_operation uuid;

-- What other services know of a tenant, taken over every some seconds for all of them; a rebuild of the list leaves it.
CREATE TABLE tenant_figures (
  tenant_id uuid PRIMARY KEY,
  -- Of the limit that it has used most of; null without a limit.
  usage_percent numeric,
  -- When it last used something that is metered.
  used_at timestamptz,
  -- Events and effects of the tenant that could not be taken.
  parked integer NOT NULL DEFAULT 0
);
