"""Records that nobody can bend: the audit trail as a Merkle tree, its checkpoints, and what is sealed as evidence."""
