"""The packet-inspection core (C) and the Python that drives it."""
