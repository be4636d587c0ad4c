-- Event subscriptions, the platform's and the tenants', from their logs. log_id is the log that they are on.
CREATE TABLE event_subscriptions (
  subscription_id uuid PRIMARY KEY,
  log_id uuid NOT NULL,
  status text NOT NULL,
  -- As the event has it: encrypted.
  name jsonb NOT NULL,
  tenants jsonb NOT NULL,
  contexts jsonb NOT NULL,
  types jsonb,
  start_generation integer NOT NULL,
  start_from jsonb NOT NULL,
  starts_at jsonb,
  account text NOT NULL,
  credentials integer NOT NULL,
  created_at timestamptz NOT NULL,
  revoked_at timestamptz,
  version integer NOT NULL
);
CREATE INDEX event_subscriptions_log ON event_subscriptions (log_id, created_at) WHERE status <> 'revoked';

-- Which credentials were issued: of each only its public key. Whoever inserts the row shows the secret.
CREATE TABLE event_subscription_credentials (
  subscription_id uuid NOT NULL,
  credentials integer NOT NULL,
  user_key text NOT NULL,
  inbox_prefix text NOT NULL,
  issued_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (subscription_id, credentials)
);

-- How far each consumer had come when it was last seen, so that it can be made again where it was: after a pause, a rotation, or on a
-- broker that lost it. Sequences count only in the stream that was made at stream_created.
CREATE TABLE event_subscription_progress (
  consumer text PRIMARY KEY,
  subscription_id uuid NOT NULL,
  generation integer NOT NULL,
  stream_created timestamptz NOT NULL,
  acknowledged bigint NOT NULL,
  -- Everything that the stream took before this instant is acknowledged.
  acknowledged_until timestamptz
);
CREATE INDEX event_subscription_progress_subscription ON event_subscription_progress (subscription_id);

-- Who is bringing a subscription's account and consumers to what they should be: one at a time.
CREATE TABLE event_subscription_leases (
  subscription_id uuid PRIMARY KEY,
  holder uuid NOT NULL,
  until timestamptz NOT NULL
);
