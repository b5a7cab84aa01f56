# Two commands do everything on a fresh machine: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Processes that share the cores must not each start a thread per core.
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
export OMP_NUM_THREADS ?= $(CORES)

.PHONY: setup demo test fuzz kills test-station lint bench peers lock web test-web clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements/bootstrap.lock requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "blemish needs Python 3.11 or newer: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	rm -rf demo
	$(BIN)/blemish demo --out demo

# One thread in each of a process a core: the tests' networks are too small to share. In the order of folders, as
# the longest test is a file by itself, which would otherwise come last.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

# 100,000 mutated trees, new ones each time, for the readers of files; `make test` has a short form. Both end with
# what became of them: make fuzz [EXAMPLES=n for each]
EXAMPLES ?= 1500
fuzz: setup
	BLEMISH_FUZZ_EXAMPLES=$(EXAMPLES) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/fuzz --numprocesses $(CORES) --timeout 0

# An inspection that is killed 100 times and gone on with; `make test` has a short form: make kills [KILLS=n]
KILLS ?= 100
kills: setup
	BLEMISH_KILLS=$(KILLS) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/cli/test_inspect_kills.py -s --timeout 0

# The station's acceptance tests in their long forms, which `make test` has short ones of: kills of every process, a
# minute of overload, a thousand replays of every method, requests of every kind: make test-station [KILLS=n]
test-station: setup
	BLEMISH_STATION_LONG=1 BLEMISH_STATION_KILLS=$(KILLS) BLEMISH_STATION_REPLAYS=1000 BLEMISH_STATION_REQUESTS=100 \
		OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/station tests/contract/test_contract_station.py -s --timeout 0

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	for table in severity-speed casae-speed tl-sdd-speed runtime-speed map-speed; do $(BIN)/blemish reproduce $$table --out experiments/results || exit 1; done

# Other tools' rows of a table, each tool in an environment of its own: make peers TABLE=NAME [ROWS=a,b] [SEEDS=3]
# [DATA=FOLDER] [OUT=FOLDER]
PEERS := yolo patchcore smp_unet
TABLE ?= peers-shots-neu-det
peers: setup
	$(BIN)/python -m benchmarks.peers.bench $(TABLE) $(if $(ROWS),--rows $(ROWS)) $(if $(SEEDS),--seeds $(SEEDS)) \
		$(if $(DATA),--data $(DATA)) $(if $(OUT),--out $(OUT))

# After a change of dependencies in pyproject.toml.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate requirements/bootstrap.in -o requirements/bootstrap.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --extra dev pyproject.toml -o requirements/dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --extra runtime pyproject.toml -o requirements/runtime.lock
	for peer in $(PEERS); do (cd benchmarks/peers/$$peer && $(CURDIR)/$(BIN)/uv pip compile --quiet --universal --emit-build-options --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate requirements.txt -o requirements.lock) || exit 1; done

# The station's page, built into src/blemish/station/static: with Node 20 and npm, which only whoever builds it needs.
web: web/node_modules/.ready
	cd web && npm run --silent build

web/node_modules/.ready: web/package.json web/package-lock.json
	@command -v npm >/dev/null || { echo "The page is built with Node 20 or newer: apt-get install nodejs npm" >&2; exit 1; }
	cd web && npm ci
	@touch $@

# The page's geometry, masks and drafts by themselves, then its screens in a real browser (Debian's chromium).
test-web: setup web
	cd web && npm test --silent
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/station/browser

clean:
	rm -rf $(VENV) demo web/node_modules src/blemish/station/static
