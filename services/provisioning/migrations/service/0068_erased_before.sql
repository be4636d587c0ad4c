-- Tenants that were erased before there was a mark of it: a rebuild must not bring theirs back either. Each by its own short stream, not by a
-- look at every event that there is.
INSERT INTO tenancy.erased (tenant_id, operation_id, since)
SELECT h.tenant_id, e.operation_id, e.recorded_at
FROM log.heads h
CROSS JOIN LATERAL (
  SELECT (data ->> 'operationId')::uuid AS operation_id, recorded_at FROM log.events
  WHERE tenant_id = h.tenant_id AND stream = 'tenant' AND type = 'TenantErased' LIMIT 1
) e
ON CONFLICT DO NOTHING;
