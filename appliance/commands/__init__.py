"""The verbs of the `reef` command, one file per group; `appliance.cli` loads only the one it needs."""
