# `make demo` and `make test` need Python 3.12 or newer and nothing else: they make .venv first.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SUPPORTED := import sys; sys.exit(sys.version_info < (3, 12))

# Figures are written to files, so no display is needed.
export MPLBACKEND := Agg

.DEFAULT_GOAL := help
.PHONY: help demo test coverage bench lint format docs clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP)  ## Map the Mediterranean of June 2005 into demo/ and print the scores
	$(BIN)/python gallery/01_first_map/demo.py demo

# One worker for each core, and one thread for each worker.
test: export OMP_NUM_THREADS := 1
test: lint  ## Check style and types, and run the whole test suite
	$(BIN)/python -m pytest --numprocesses auto --durations=10

coverage: export OMP_NUM_THREADS := 1
coverage: $(STAMP)  ## Run the test suite and report which lines it covers (at least 95 %)
	$(BIN)/python -m pytest --numprocesses auto --cov --cov-report=term --cov-fail-under=95

bench: export OMP_NUM_THREADS := 2
bench: $(STAMP)  ## Time the parts that take the time, and print the figures (under 10 minutes)
	@for file in tests/benchmarks/bench_*.py; do \
	  echo "$$file"; $(BIN)/python -W ignore $$file || exit 1; \
	done

lint: $(STAMP)  ## Check the style and the types, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p xdvarnet

format: $(STAMP)  ## Correct the style where it can be done safely
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## Build the documentation into docs/_build/html
	rm -rf docs/api/generated
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

clean:  ## Remove what was built (not .venv, not checkpoints)
	rm -rf build dist demo docs/_build docs/auto_gallery docs/api/generated
	rm -rf *.egg-info .pytest_cache .ruff_cache .mypy_cache .coverage htmlcov
	find xdvarnet tests gallery docs .ci -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made once, and installed into again when one of these files changes.
# An interpreter of one's own choice: make test PYTHON=/path/to/python
$(STAMP): setup.cfg pyproject.toml constraints.txt
	@if ! { $(BIN)/python -c '$(SUPPORTED)' && $(BIN)/python -m pip --version; } >/dev/null 2>&1; then \
	  found=; \
	  for candidate in $(or $(PYTHON),python3.12 python3 python); do \
	    if "$$candidate" -c '$(SUPPORTED)' >/dev/null 2>&1; then found="$$candidate"; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo 'No Python 3.12 or newer was found (tried: $(or $(PYTHON),python3.12 python3 python)).' >&2; \
	    echo 'The file .python-version names 3.12, which pyenv and uv read and provide:' >&2; \
	    echo '    pyenv install 3.12                                    then: make $(MAKECMDGOALS)' >&2; \
	    echo '    uv python install 3.12   then: make $(MAKECMDGOALS) PYTHON="$$(uv python find 3.12)"' >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$found"; \
	  "$$found" -m venv --clear $(VENV); \
	fi
	$(BIN)/python -m pip install -c constraints.txt -e ".[all]"
	@touch $@
