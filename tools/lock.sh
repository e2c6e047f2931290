#!/bin/sh
# Pin every Python package with its hashes for Python 3.11 and later: requirements.lock.
# usage: tools/lock.sh [OUTPUT]     versions already pinned stay; `tools/lock.sh --upgrade` takes the newest
set -eu

cd "$(dirname "$0")/.."
upgrade=""
if [ "${1:-}" = --upgrade ]; then upgrade=--upgrade; shift; fi
# The lock must read the same wherever it is made: no index of this machine, no absolute path.
# shellcheck disable=SC2086
exec .venv/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes $upgrade \
    --default-index https://pypi.org/simple --custom-compile-command tools/lock.sh \
    --extra report --extra build --extra test --extra check pyproject.toml --output-file "${1:-requirements.lock}" >/dev/null
