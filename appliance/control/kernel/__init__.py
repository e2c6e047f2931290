"""Thin clients of the kernel: netlink, nftables, connections, and what is read back of them."""
