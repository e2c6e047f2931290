"""Events that are sent to those who want them without asking: syslog over TLS, and webhooks."""
