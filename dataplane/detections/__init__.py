"""What signatures cannot see: scans, guessing, beacons, tunnels, new devices and services. Values in,
findings out.
"""
