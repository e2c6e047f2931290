"""The control plane of a Reef gateway."""
