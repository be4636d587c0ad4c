-- What the list of tenants shows and sorts by besides. Filled by the projection, which is rebuilt.
ALTER TABLE tenants
  ADD COLUMN parent_id uuid,
  ADD COLUMN price_minor bigint NOT NULL DEFAULT 0,
  ADD COLUMN mrr_currency text NOT NULL DEFAULT 'USD';
ALTER TABLE tenants
  ADD COLUMN mrr_minor bigint NOT NULL GENERATED ALWAYS AS (CASE WHEN status = 'active' THEN price_minor ELSE 0 END) STORED;

-- Other sort orders are short sorts over the filtered rows: an index for each would cost every event a write.
CREATE INDEX tenants_by_name ON tenants (lower(name), tenant_id);
CREATE INDEX tenants_by_parent ON tenants (parent_id, created_at DESC, tenant_id DESC) WHERE parent_id IS NOT NULL;
