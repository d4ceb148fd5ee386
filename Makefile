SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Some containers set it: each test worker and each process that a test starts would compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
ENGINE ?= docker
ARGS ?=
SOAK_MINUTES ?= 3
FUZZ_SECONDS ?= 60
PREVIEW ?= grafana-preview
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' exporter/__init__.py)
# Percent of lines and branches that the tests without real processes must reach.
COVERAGE_FLOOR := 90

BIN := .venv/bin
VENV := .venv/installed
PRODUCT := .venv-run/installed
# A file's tests stay in one process, for their fixtures, in the order of tests/conftest.py.
PYTEST := $(BIN)/pytest -o faulthandler_exit_on_timeout=true --dist loadfile --no-loadscope-reorder

.PHONY: help run quick test lint types architecture fast unit coverage real parts packages helm docs dashboards translations screenshot pictures bench soak fuzz audit sbom image clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  Variables: PYTHON=python3.11  ENGINE=podman  ARGS="--tasks 100"'

run: $(PRODUCT) ## Start the demo: a simulated API and the exporter, no credentials (ARGS="--tasks 100")
	@exec .venv-run/bin/webcast-exporter demo $(ARGS)

quick: lint types architecture fast ## The inner loop: lint, types, architecture and the fast tests, under a minute

test: ## Everything that CI checks: lint, types, architecture, all tests
	@# What is fetched and what is checked wait for each other as little as they can.
	@$(MAKE) --no-print-directory --jobs=3 parts lint types architecture
	@$(MAKE) --no-print-directory --jobs=1 unit
	@$(MAKE) --no-print-directory --jobs=1 real

lint: $(VENV) ## Ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV) ## Mypy, strict
	$(BIN)/mypy

architecture: $(VENV) ## Imports only go down (import-linter)
	$(BIN)/lint-imports

fast: $(VENV) ## The tests that need no real part and no real time (ARGS="-k word" to choose)
	$(BIN)/pytest -m "not slow and not real" -n auto --dist loadfile $(ARGS)

unit: $(VENV) parts ## The tests without real processes (ARGS="-k word" to choose)
	$(PYTEST) -m "not real" -n auto $(ARGS)

real: $(VENV) parts ## The tests with real processes: Prometheus, PostgreSQL, Chromium, a built wheel
	$(PYTEST) -m real -n 4 $(ARGS)

coverage: $(VENV) parts ## The tests without real processes, with the coverage floor: three times as long
	$(PYTEST) -m "not real" -n auto --cov --cov-fail-under=$(COVERAGE_FLOOR)

parts: packages helm ## Fetch Prometheus, Alertmanager and others for tests and benchmarks, unless they are on PATH

packages: ## Fetch those that Debian packages
	@.ci/real-parts || test "$${CI:-}" != true

helm: $(VENV) ## Fetch helm
	@.ci/helm || test "$${CI:-}" != true

docs: $(VENV) ## Write the parts of docs/ and of the READMEs that come from the code
	$(BIN)/webcast-exporter metrics > docs/metrics.md.new
	mv docs/metrics.md.new docs/metrics.md
	$(BIN)/python -m docs.source.configuration
	$(BIN)/python -m docs.source.log_events
	$(BIN)/python -m docs.source.figures

dashboards: $(VENV) ## Normalise dashboards/grafana after an edit, and write the rules of deploy/kubernetes anew
	$(BIN)/python -m dashboards.normalise
	rm -rf build/bundle && $(BIN)/webcast-exporter dashboards export build/bundle
	cp build/bundle/kubernetes/prometheus-rule.yaml deploy/kubernetes/rules/

translations: $(VENV) ## Update the catalogues of the pages from the code, and compile them
	$(BIN)/python .ci/translations

screenshot: $(VENV) parts ## Draw docs/images/tasks.png anew, with Chromium
	$(BIN)/python -m tests.browser.picture

pictures: $(VENV) parts ## Draw docs/images anew (PREVIEW=a program that draws dashboards, see tests/dashboards/pictures.py)
	$(BIN)/python -m tests.dashboards.pictures $(PREVIEW)

bench: $(VENV) parts ## Every benchmark, and the table of docs/performance.md; some minutes (ARGS=short)
	$(BIN)/python -m benchmarks $(ARGS)

soak: $(VENV) ## A real exporter under load and faults at random: does anything wear out? (SOAK_MINUTES=60)
	$(BIN)/python -m benchmarks.soak $(SOAK_MINUTES)

fuzz: $(VENV) ## Replies and callbacks of any bytes, with atheris where there is one (FUZZ_SECONDS=60)
	FUZZ_CASES=100000 $(BIN)/pytest -q -n auto -o faulthandler_timeout=0 tests/model/test_run_properties.py tests/scheduler/test_circuit_breaker.py
	@.ci/fuzz $(FUZZ_SECONDS)

audit: $(VENV) ## Has a part that is shipped a known vulnerability? (pip-audit)
	@.ci/shipped
	@.ci/audit

sbom: $(VENV) ## List what is shipped, as CycloneDX, in build/sbom.json
	@.ci/shipped
	build/tools/bin/cyclonedx-py environment --output-reproducible --output-format JSON --output-file build/sbom.json \
	    build/shipped/bin/python

image: ## Build the container image (ENGINE=podman for another engine)
	@# Podman and buildah drop HEALTHCHECK unless told to write Docker's format.
	BUILDAH_FORMAT=docker $(ENGINE) build --build-arg VERSION=v$(VERSION) --build-arg REVISION=$$(git rev-parse --short HEAD) \
	    --tag webcast-exporter:v$(VERSION) .

clean: ## Remove everything that these targets have made
	rm -rf .venv .venv-run .real-parts build dist .coverage .coverage.* .*_cache .hypothesis docs/metrics.md.new
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV): pyproject.toml constraints.txt .ci/venv
	@PYTHON=$(PYTHON) .ci/venv

$(PRODUCT): pyproject.toml constraints.txt .ci/venv
	@PYTHON=$(PYTHON) .ci/venv run
