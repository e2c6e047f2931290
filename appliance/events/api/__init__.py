"""What alertd answers to consumers: TAXII 2.1, EVE as lines and live, MISP, IntelMQ, lists."""
