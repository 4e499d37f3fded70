"""Durable memory: intents, outcomes, spending, position lives, alert states, outbox. Written before anything is done."""
