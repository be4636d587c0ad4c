-- Keys of tenants, wrapped by the KMS. Erasure sets destroyed_at and empties `wrapped`: an absent row never means destroyed.
CREATE TABLE tenant_keys (
  tenant_id uuid NOT NULL,
  version integer NOT NULL,
  wrapped bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  destroyed_at timestamptz,
  PRIMARY KEY (tenant_id, version),
  CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);

-- Keys of data subjects, wrapped by their tenant's key.
CREATE TABLE subject_keys (
  tenant_id uuid NOT NULL,
  subject text NOT NULL,
  version integer NOT NULL,
  tenant_key_version integer NOT NULL,
  wrapped bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  destroyed_at timestamptz,
  PRIMARY KEY (tenant_id, subject, version),
  CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);

-- Key → principal. tenant_id is null for platform keys; expires_at is set for probes only.
CREATE TABLE api_keys (
  hash bytea PRIMARY KEY,
  key_id uuid NOT NULL UNIQUE,
  tenant_id uuid,
  name text NOT NULL,
  prefix text NOT NULL,
  permissions text[] NOT NULL,
  created_at timestamptz NOT NULL,
  revoked_at timestamptz,
  expires_at timestamptz
);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at) WHERE expires_at IS NULL;
CREATE INDEX api_keys_expiry ON api_keys (expires_at) WHERE expires_at IS NOT NULL;

-- What an invitation needs beside its events: where it leads, and the hash of its secret once it has been sent.
CREATE TABLE invitations (
  invitation_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  member_id uuid NOT NULL,
  host text NOT NULL,
  token_hash bytea UNIQUE,
  expires_at timestamptz NOT NULL
);

-- Simulated mail. The primary key is the effect's id, so an effect that runs twice leaves one mail.
-- Recipient and bodies are encrypted: the address is personal, and the text holds the invitation's secret.
CREATE TABLE mail_outbox (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  kind text NOT NULL,
  recipient text NOT NULL,
  subject text NOT NULL,
  text text NOT NULL,
  html text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX mail_outbox_newest ON mail_outbox (created_at DESC, id DESC);
