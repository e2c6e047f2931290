# The verbs of this project. `make` alone prints them.
# Everything made here lies under .venv/, build/ and .cache/; `make clean` removes the last two;
# the console's page is built into appliance/console/static/, from packages in appliance/console/web/node_modules/.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON := .venv/bin/python
STAMPS := .cache/stamps
TIER ?= all
LAB ?=
SHELL_SCRIPTS := .ci/run $(wildcard tools/*.sh) $(wildcard tests/*/*.sh)
PACKAGES := $(wildcard appliance crypto ctypes_ext dataplane mail_relay voip_policy firmware)
# The private environment is made from Debian's own Python, whatever else is first on the PATH.
DEBIAN_PYTHON := /usr/bin/python3

.PHONY: help run test check fmt bench soak fuzz fresh build deps install lock clean

help:  ## print the verbs
	@echo "usage: make VERB"; echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .cache/ready-run  ## set up what is missing, then start the lab: a small country on this machine
	@$(PYTHON) -m appliance.lab $(LAB)

test: .cache/ready-test  ## set up what is missing, then run every tier (make test TIER=unit: one of them)
	@$(PYTHON) tests/run.py $(TIER)

check: .cache/ready-test  ## formatting, types, C analysis, import directions, lock file
	@$(PYTHON) tools/check.py

fmt: .cache/ready-test  ## format the Python code
	@.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format .

bench: .cache/ready-test  ## measure everything as ratios, print one table, write docs/performance.md (some minutes)
	@$(PYTHON) -m tests.bench.run $(BENCH)

soak: .cache/ready-test  ## the tests whose length can be chosen, long (make soak MINUTES=30)
	@$(PYTHON) tests/run.py soak --minutes $(or $(MINUTES),10)

fuzz: .cache/ready-test  ## fuzz every parser (make fuzz MINUTES=60)
	@$(PYTHON) tests/run.py fuzz --minutes $(or $(MINUTES),10)

fresh: .cache/ready-test  ## try `make test` in a fresh Debian (make fresh DEBIAN=13 VERB=run)
	@tools/fresh-debian.sh $(or $(DEBIAN),12) $(or $(VERB),test)

build: .cache/ready-run  ## compile the C core and the native modules

deps:  ## install what is missing: Debian packages, .venv, locked Python packages
	@rm -f $(STAMPS)/debian-* $(STAMPS)/python
	@$(MAKE) .cache/ready-test

install: .cache/ready-run  ## put Reef on this box: PREFIX=/opt/reef, DESTDIR=folder for an image
	@$(PYTHON) tools/install.py "$(DESTDIR)" "$(or $(PREFIX),/opt/reef)"

lock:  ## pin the Python packages of pyproject.toml again
	@tools/lock.sh --upgrade

clean:  ## remove everything built (not .venv)
	rm -rf build .cache appliance/console/static
	find . -name '*.so' -not -path './.venv/*' -not -path '*/node_modules/*' -delete
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# --- what the verbs stand on ---------------------------------------------------------------------------

.PHONY: .cache/ready-run .cache/ready-test native
.cache/ready-run: $(STAMPS)/debian-run $(STAMPS)/python $(STAMPS)/web native
.cache/ready-test: $(STAMPS)/debian-test $(STAMPS)/python $(STAMPS)/kernel $(STAMPS)/web native

$(STAMPS)/debian-run: tools/packages.txt tools/deps.sh
	@mkdir -p $(STAMPS)
	@[ -e $(STAMPS)/debian-test ] && [ $(STAMPS)/debian-test -nt tools/packages.txt ] || tools/deps.sh run
	@touch $@

$(STAMPS)/debian-test: tools/packages.txt tools/deps.sh
	@mkdir -p $(STAMPS)
	@tools/deps.sh test
	@touch $@

# An editable install: the packages stay where they are, `.venv/bin/reef` runs them.
$(STAMPS)/python: requirements.lock pyproject.toml | $(STAMPS)/debian-run
	@mkdir -p $(STAMPS)
	@[ -x $(PYTHON) ] || { echo "deps: making .venv from $(DEBIAN_PYTHON)"; $(DEBIAN_PYTHON) -m venv .venv; }
	@echo "deps: installing the Python packages of requirements.lock into .venv"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--config-settings=wheel.cmake=false --config-settings=editable.mode=inplace --editable .
	@touch $@

# The console's page. The folders are among what it is made from: a file that is gone changes its folder.
WEB := appliance/console/web
WEB_SOURCES := $(filter-out $(WEB)/openapi.json,$(wildcard $(WEB)/*.* $(WEB)/.npmrc)) \
	$(filter-out $(WEB)/src/api/schema.ts,$(shell find $(WEB)/src $(WEB)/public))
$(STAMPS)/web: $(WEB_SOURCES) tools/web.py | $(STAMPS)/python
	@mkdir -p $(STAMPS)
	@echo "build: the console's page into appliance/console/static/"
	@$(PYTHON) tools/web.py build
	@touch $@

# The vm tier boots a Debian kernel, which is downloaded, not installed.
$(STAMPS)/kernel: tests/vm/kernel.py | $(STAMPS)/debian-test $(STAMPS)/python
	@$(PYTHON) -m tests.vm.kernel
	@touch $@

# Ninja knows what changed; this costs a fraction of a second when nothing did.
native: | $(STAMPS)/python
	@[ -e build/py/build.ninja ] || echo "build: compiling the native modules into ctypes_ext/"
	@[ -e build/py/build.ninja ] || cmake -S . -B build/py -G Ninja --log-level=WARNING \
		-DREEF_INPLACE=ON -DPython_EXECUTABLE=$(CURDIR)/$(PYTHON)
	@said=$$(cmake --build build/py 2>&1) || { echo "$$said"; exit 1; }
