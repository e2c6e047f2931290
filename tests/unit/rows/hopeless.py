"""A process that cannot start, and says why."""

import sys

sys.exit("hopeless: the configuration is missing; write one")
