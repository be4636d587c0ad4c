-- The end of the API key that they were issued with: they end with it. NULL where that has none.
ALTER TABLE event_subscription_credentials ADD COLUMN expires_at timestamptz;
