"""What applyd does to this box, and keeps of it."""
