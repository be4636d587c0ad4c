-- Measured with 10,000 tenants: a page in one of these orders took 10 to 30 ms by sorting, and takes 2 ms by an index, as with 100 tenants.
-- `updated_at` makes every event write to all of them; a tenant has some ten events while it is made, and few afterwards.
CREATE INDEX tenants_by_slug ON tenants (slug, tenant_id);
CREATE INDEX tenants_by_mrr ON tenants (mrr_minor, tenant_id);
CREATE INDEX tenants_by_plan ON tenants (plan, tenant_id);
CREATE INDEX tenants_by_status ON tenants (status, tenant_id);
CREATE INDEX tenants_by_priority ON tenants (priority, tenant_id);
CREATE INDEX tenants_by_update ON tenants (updated_at, tenant_id);
