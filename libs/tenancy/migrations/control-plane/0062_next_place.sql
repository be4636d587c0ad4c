-- Where the tenant is on its way to: a place as {isolation, server, database, schema, app_schema, role, generation}. It counts from the
-- moment at which the gate of the place before says the same generation; whoever is refused there by that goes on here.
ALTER TABLE tenancy.placements ADD COLUMN next jsonb;
GRANT SELECT (next) ON tenancy.placements TO tenantry_product;
