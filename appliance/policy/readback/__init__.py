"""What the kernel's ruleset means, read back from its own bytes, and whether that is what the policy means."""
