"""The checks: small functions from facts and a threshold to a `Result`, one for each row of `checks.toml`.

A check passes only on what was really read; where its subject is not there it raises `CannotTell`.
"""
