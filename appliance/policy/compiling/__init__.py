"""From the model to everything that runs: rulesets, and the bundle that seals them."""
