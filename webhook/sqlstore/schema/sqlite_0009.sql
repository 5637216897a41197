-- When failed deliveries of a subscription are tried again, as JSON; null leaves it to the
-- Dispatcher.
ALTER TABLE {p}webhooks ADD COLUMN retry TEXT;
