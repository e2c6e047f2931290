"""The pages before the console: log-in, invitation, log-out. Jinja2 makes them, so that they work with no script but
that of passkeys."""
