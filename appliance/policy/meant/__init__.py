"""What a text means: words resolved, defaults filled in, sites and baselines joined, up to the model."""
