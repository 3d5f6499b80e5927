"""Webhooks: subscriptions, and a signed message carried to a checked address."""
