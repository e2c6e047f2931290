"""Questions about a policy: why, what would change, what could be narrower."""
