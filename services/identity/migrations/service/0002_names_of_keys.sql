-- What people called their keys is personal: {"enc": …} under the tenant's key; clear for platform keys and those from before.
ALTER TABLE api_keys ALTER COLUMN name TYPE jsonb USING to_jsonb(name);
