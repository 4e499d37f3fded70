"""Telling people: channels, message texts, and the delivery of a durable outbox."""
