-- What operators have done with parked events and rebuilds is recorded on the platform's log by provisioning.
INSERT INTO log.writers (role, context) VALUES ('tenantry_provisioning', 'platform') ON CONFLICT DO NOTHING;
