"""Indicators of compromise that come back from the CSIRT: read, kept, enforced where they belong, counted."""
