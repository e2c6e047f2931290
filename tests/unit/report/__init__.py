"""The risk and standards report."""
