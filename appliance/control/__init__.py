"""policyd, applyd and the thin clients through which they touch the kernel and the disk."""
