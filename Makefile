# Two commands for a newcomer: `make demo` and `make test`. Both build their own environment in .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# One release, so that every environment is alike. Where the package index has it for CUDA only (several GB), take the CPU build:
# make TORCH="torch==2.13.0+cpu" with PyTorch's CPU index as pip's extra index.
TORCH  ?= torch==2.13.0

.PHONY: demo test check coverage docs format clean env
env: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --group dev --editable ".[all]"
	touch $@

demo: env
	$(BIN)/passerby demo --out demo

# in the order of tests/conftest.py: long files first
SUITE := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: env
	$(SUITE)

# with `make check test` the fast tests run once: they are part of the suite
check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(if $(filter test,$(MAKECMDGOALS)),,$(SUITE) -m "not slow")

# lines that the suite runs, those in processes of its own too; slower than `test`
coverage: env
	$(SUITE) --cov --cov-report=term --cov-report=html:coverage

docs: env
	$(BIN)/sphinx-build -W --keep-going -q -b html docs site

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) demo site coverage docs/reference .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
