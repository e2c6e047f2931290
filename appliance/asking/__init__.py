"""Questions about packets as people ask them, put so that the policy can answer: for `reef why`, for the console."""
