"""Changes of a policy that do not run yet: drafts, what they change, and how two of them become one."""
