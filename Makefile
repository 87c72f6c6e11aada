# Two commands on a fresh machine with Python 3.11 or later: `make demo` and `make test`. All is set up in .venv.

PORT ?= 8000
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
RESULTS ?= $(VENV)/results
# Folders at once: some are one long file. The last by name, the longest, begin.
PARTS ?= 2
# Processes of each folder, so that the folders at once fill the machine and no more.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 4); echo $$(( n > 2 ? n / $(PARTS) : 1 )))
# Each folder runs in processes of its own: a process holds one Playwright, and folders open theirs in their own ways.
TESTS ?= $(sort $(wildcard tests/*/ tests/test_*.py))
BROWSER = VOLENS_CHROMIUM="$$(head -n 1 $(VENV)/chromium)" CHROMIUM="$$(head -n 1 $(VENV)/chromium)"

.PHONY: demo test soak lint bench browser browser-check lock figures wheel clean help

help:
	@echo 'make demo [PORT=8000]  the demonstration: a news site behind Volens; stays up, prints its address'
	@echo 'make test              every test but the long ones'
	@echo 'make soak              the long ones'
	@echo 'make lint              ruff, mypy --strict'
	@echo 'make browser           src/volens/static/ from browser/ (needs Node)'
	@echo 'make bench             the benchmarks, raw figures into benchmarks/results/, told in README (BENCHMARKS="…" for some)'
	@echo 'make clean             removes what these made'

# A fresh environment, then what the product runs on; `demo` adds the comment engine, and no more.
$(VENV)/pip:
	@test -n "$(PYTHON)" || { echo 'Volens needs Python 3.11 or later, and finds none. Name one: make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo 'The venv module is missing. Debian and Ubuntu have it in the package python3-venv.'; exit 1; }
	@touch $@

$(VENV)/run: $(VENV)/pip pyproject.toml requirements/run.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/run.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Isso comes as a source archive and is built with what run.lock holds. --no-deps: the lock is the whole list (pyproject.toml says what it leaves out).
$(VENV)/demo: $(VENV)/run requirements/demo.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --require-hashes -r requirements/demo.lock
	@touch $@

$(VENV)/dev: $(VENV)/demo requirements/dev.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --require-hashes -r requirements/dev.lock
	@touch $@

# Installed, else Playwright's, else the distribution's where we may; says which.
$(VENV)/chromium: $(VENV)/dev tools/find_chromium.py
	@$(BIN)/python tools/find_chromium.py $@

demo: $(VENV)/demo
	$(BIN)/volens demo --port $(PORT)

test: $(VENV)/dev $(VENV)/chromium
	@$(BIN)/python tools/find_chromium.py --say $(VENV)/chromium
	@mkdir -p $(RESULTS)
	@status=0; rm -f $(RESULTS)/*.xml; printf '%s\n' $(TESTS) | sort -r | $(BROWSER) xargs -P $(PARTS) -I PART sh -c \
		'$(BIN)/python -m pytest PART -q -n $(JOBS) --dist loadfile -m "not soak and not alone" \
			--junitxml "$(RESULTS)/$$(echo PART | tr / -).xml" || [ $$? = 5 ]' || status=1; \
	$(BROWSER) $(BIN)/python -m pytest $(TESTS) -q -m 'alone and not soak' --junitxml $(RESULTS)/alone.xml || [ $$? = 5 ] || status=1; \
	exit $$status

soak: $(VENV)/dev $(VENV)/chromium
	VOLENS_SOAK=1 $(BIN)/python -m pytest tests/ledger/test_durability.py tests/ledger/test_postgres_faults.py -q
	$(BROWSER) $(BIN)/python -m pytest $(TESTS) -q -m soak

lint: $(VENV)/dev
	$(BIN)/ruff check src demo tests tools benchmarks .ci
	$(BIN)/mypy

browser:
	npm ci --prefix browser --no-audit --no-fund
	node tools/build_browser.mjs

browser-check:
	npm ci --prefix browser --no-audit --no-fund
	npm run --prefix browser types
	node tools/build_browser.mjs --check

BENCHMARKS ?= ledger ledger_postgres rewrite middleware proxy audience peers

bench: $(VENV)/dev $(VENV)/chromium
	@mkdir -p benchmarks/results; status=0; for name in $(BENCHMARKS); do \
		$(BROWSER) $(BIN)/python benchmarks/$$name.py --out benchmarks/results/$$name.json || { echo "$$name: not measured"; status=1; }; \
	done; $(BIN)/python tools/figures.py; exit $$status

figures: $(VENV)/run
	$(BIN)/python tools/figures.py

lock:
	printf '%s\n' "# What Volens runs on, and what installs it: every version pinned, every file by hash. Written by 'make lock'." > requirements/run.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		pyproject.toml --group install >> requirements/run.lock
	printf '%s\n' "# The demonstration: what Volens runs on, and the comment engine Isso. Every version pinned, every file by hash. Written by 'make lock'." > requirements/demo.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		pyproject.toml --group install --extra demo >> requirements/demo.lock
	printf '%s\n' "# Development and tests: every version pinned, every file by hash. Written by 'make lock'." > requirements/dev.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		pyproject.toml --group dev --all-extras >> requirements/dev.lock

wheel: $(VENV)/dev
	$(BIN)/python -m build --no-isolation --wheel

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis browser/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
