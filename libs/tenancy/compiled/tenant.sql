-- Made from the tenant migrations by libs/tenancy/dist/compile-main.js; do not edit.
SET LOCAL ROLE :"owner";
CREATE SCHEMA :"schema";
CREATE SCHEMA :"app_schema";
GRANT USAGE ON SCHEMA :"schema", :"app_schema" TO :"role";
SET LOCAL search_path = :"schema";
CREATE TABLE "checkpoints" (
  "tenant_id" uuid NOT NULL,
  "consumer" character varying(63) NOT NULL,
  "version" character varying(64) NOT NULL,
  "position" bigint NOT NULL,
  "event_id" uuid NOT NULL,
  PRIMARY KEY (tenant_id, consumer)
);
CREATE TABLE "audit_entries" (
  "tenant_id" uuid NOT NULL,
  "position" bigint NOT NULL,
  "id" uuid NOT NULL,
  "action" text NOT NULL,
  "resource_type" text NOT NULL,
  "resource_id" text NOT NULL,
  "actor_kind" text NOT NULL,
  "actor_id" text NOT NULL,
  "old_values" jsonb,
  "new_values" jsonb NOT NULL,
  "ip" text,
  "user_agent" text,
  "trace_id" text,
  "created_at" timestamp with time zone NOT NULL,
  PRIMARY KEY (tenant_id, "position")
);
CREATE TABLE "billing_subscriptions" (
  "tenant_id" uuid NOT NULL,
  "status" character varying(20) NOT NULL,
  "plan_id" character varying(63) NOT NULL,
  "plan_version" integer NOT NULL,
  "price_minor" bigint NOT NULL,
  "currency" character varying(3) NOT NULL,
  "timezone" character varying(64) NOT NULL,
  "opened_at" timestamp with time zone NOT NULL,
  "trial_ends_at" timestamp with time zone,
  "period_start" timestamp with time zone NOT NULL,
  "period_end" timestamp with time zone NOT NULL,
  PRIMARY KEY (tenant_id)
);
CREATE TABLE "domain_domains" (
  "tenant_id" uuid NOT NULL,
  "domain_id" uuid NOT NULL,
  "host" text NOT NULL,
  "unicode_host" text NOT NULL,
  "type" text NOT NULL,
  "status" text NOT NULL,
  "is_primary" boolean NOT NULL,
  "ssl" boolean NOT NULL,
  "records" jsonb NOT NULL,
  "created_at" timestamp with time zone NOT NULL,
  PRIMARY KEY (tenant_id, domain_id)
);
CREATE TABLE "identity_members" (
  "tenant_id" uuid NOT NULL,
  "member_id" uuid NOT NULL,
  "email" text NOT NULL,
  "role" text NOT NULL,
  "status" text NOT NULL,
  "invited_at" timestamp with time zone NOT NULL,
  PRIMARY KEY (tenant_id, member_id)
);
CREATE TABLE "config_settings" (
  "tenant_id" uuid NOT NULL,
  "key" character varying(255) NOT NULL,
  "value" jsonb NOT NULL,
  "type" character varying(10) NOT NULL,
  "category" character varying(20) NOT NULL,
  "encrypted" boolean NOT NULL,
  "updated_at" timestamp with time zone NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
CREATE TABLE "quota_quotas" (
  "tenant_id" uuid NOT NULL,
  "resource" character varying(63) NOT NULL,
  "kind" character varying(20) NOT NULL,
  "unit" character varying(20) NOT NULL,
  "quota_limit" bigint,
  "source" character varying(20) NOT NULL,
  "reset_date" timestamp with time zone,
  PRIMARY KEY (tenant_id, resource)
);
ALTER TABLE "checkpoints" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE "audit_entries" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE "billing_subscriptions" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE "domain_domains" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE "identity_members" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE "config_settings" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE "quota_quotas" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "checkpoints" USING (tenant_id = current_setting('app.tenant_id')::uuid);
CREATE POLICY tenant ON "audit_entries" USING (tenant_id = current_setting('app.tenant_id')::uuid);
CREATE POLICY tenant ON "billing_subscriptions" USING (tenant_id = current_setting('app.tenant_id')::uuid);
CREATE POLICY tenant ON "domain_domains" USING (tenant_id = current_setting('app.tenant_id')::uuid);
CREATE POLICY tenant ON "identity_members" USING (tenant_id = current_setting('app.tenant_id')::uuid);
CREATE POLICY tenant ON "config_settings" USING (tenant_id = current_setting('app.tenant_id')::uuid);
CREATE POLICY tenant ON "quota_quotas" USING (tenant_id = current_setting('app.tenant_id')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON "checkpoints", "audit_entries", "billing_subscriptions", "domain_domains", "identity_members", "config_settings", "quota_quotas" TO :"role";
COMMENT ON SCHEMA :"schema" IS 'tenantry c53894cfa19a8a18';
