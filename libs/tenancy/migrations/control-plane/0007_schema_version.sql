-- Which of the control plane's own tables a tenant's schema has (see the schema's comment, which decides). Null for shared tenants, and
-- for those whose place was made before this was written down.
ALTER TABLE tenancy.placements ADD COLUMN schema_version varchar(16);
CREATE INDEX placements_schema_version ON tenancy.placements (schema_version, tenant_id) WHERE isolation <> 'shared';
