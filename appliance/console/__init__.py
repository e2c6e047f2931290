"""The console: what people who look after the gateway see and do over HTTPS."""
