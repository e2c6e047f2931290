"""The only folder that imports `cryptography` or `ssl`; keyd."""
