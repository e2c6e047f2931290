"""The control plane of a Reef gateway."""

__version__ = "0.1.0"
