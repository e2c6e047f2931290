"""The event record, its durable spool, and the readers of it."""
