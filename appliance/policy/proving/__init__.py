"""What is true of all packets under a policy, and which packets show that something is not."""
