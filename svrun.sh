#!/bin/sh
cd /tmp/team/lead/wc && exec .venv/bin/python -c "import sys; sys.meta_path[:]=[f for f in sys.meta_path if \"ScikitBuild\" not in type(f).__name__]; from appliance.cli import main; sys.exit(main())" inspect "$@"
