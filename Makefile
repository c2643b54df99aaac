# demo: see a generated project run    test: everything, on real servers    lint, matrix, faults, rehearse: parts of it
# test-all: the products whole, of which test takes covers (an hour or more)
# bench: what a request costs    pictures: those of docs/    release: a version that projects can be updated to
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/pytest -n 4 --dist loadgroup --no-loadscope-reorder
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Compiled code is kept even where the environment says not to: the tests start thousands of processes.
export PYTHONDONTWRITEBYTECODE :=

# Install the Debian packages of $(1), as root or by sudo.
debian = $(if $(filter 0,$(shell id -u)),,sudo) sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends $(1)'

.PHONY: demo test test-all tests faults rehearse lint matrix bench pictures release servers clean

demo: $(BIN)/poolwright
	$(BIN)/python scripts/demo.py

# The linters and the tests at the same time: neither keeps both cores of a small machine busy at its beginning.
test: .venv/development servers
	@$(MAKE) --no-print-directory --jobs 2 lint tests

test-all: .venv/development servers
	@$(MAKE) --no-print-directory --jobs 2 lint tests PYTEST="--all-combinations $(PYTEST)"

tests: .venv/development servers
	$(RUN) --durations 10 $(PYTEST)

# Only the tests of faults; writes the table layer x fault, which `test` prints, into the README.
faults: .venv/development servers
	$(RUN) -m fault --all-combinations --write-tables tests/smoke

# What each deployment starts, on servers with the planned limit; writes the table deployment x database into the README.
rehearse: .venv/development servers
	$(RUN) --all-combinations --write-tables tests/rehearsal

lint: .venv/development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

matrix: .venv/development servers
	$(BIN)/python -m scripts.matrix

# All layers, or some: make bench LAYERS="postgresql-raw-asyncpg sqlite-raw-aiosqlite"
bench: .venv/development servers
	$(BIN)/python -m benchmarks $(LAYERS)

# All pictures of docs/pictures, or some: make pictures SCENES="check matrix"
pictures: .venv/development servers
	$(BIN)/python -m scripts.pictures $(SCENES)

# make release VERSION=1.2.3: of a clean tree whose tests are green.
release: .venv/development
	$(BIN)/python -m scripts.release $(VERSION)

# Servers from Debian, and what checks the files for them. MongoDB's server comes in a wheel that the tests unpack, and needs these libraries.
servers:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || $(call debian,postgresql)
	@command -v redis-server >/dev/null || $(call debian,redis-server)
	@ls /usr/sbin/mariadbd >/dev/null 2>&1 || command -v mariadbd >/dev/null || $(call debian,mariadb-server)
	@ls /usr/sbin/nginx >/dev/null 2>&1 || command -v nginx >/dev/null || $(call debian,nginx-light)
	@command -v systemd-analyze >/dev/null || $(call debian,systemd)
	@command -v openssl >/dev/null || $(call debian,openssl)
	@command -v jq >/dev/null || $(call debian,jq)
	@ldconfig -p | grep -q libcurl.so.4 || $(call debian,libcurl4 liblzma5 libssl3)

$(BIN)/poolwright: pyproject.toml
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(call debian,python3-venv)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable .
	@touch $@

.venv/development: $(BIN)/poolwright
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group dev
	@touch $@

clean:
	rm -rf .venv .cache dist
