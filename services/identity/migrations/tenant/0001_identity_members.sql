-- `email` holds what stands in `{enc}`: it is revealed only to callers who may read personal data.
CREATE TABLE identity_members (
  tenant_id uuid NOT NULL,
  member_id uuid NOT NULL,
  email text NOT NULL,
  role text NOT NULL,
  status text NOT NULL,
  invited_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, member_id)
);
