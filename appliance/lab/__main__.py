"""`python -m appliance.lab`: what `make run` calls."""

import sys

from appliance.lab.demo import main

sys.exit(main(sys.argv[1:]))
