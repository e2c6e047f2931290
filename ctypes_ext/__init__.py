"""The border: the only folder that loads native code."""
