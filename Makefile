# Two commands do everything: `make demo` and `make test`. Each sets up what is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test branches setup lint clean

demo: setup
	$(BIN)/evenhand demo

# One torch thread in each of the workers: more would fight over the cores.
test: setup
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# Which branches of the statistics no test enters; ends with an error unless there are none.
STATISTICS = $(addprefix tests/test_,$(addsuffix .py,anchors edges stats gates gate_table vectors traps \
	proportions ranking calibrating sequential group_rates labels exploratory printed_effects resampling \
	power_of_claims impact_ratio small_print looks metrics by_formula))
branches: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest -q -o addopts= -m "not slow" $(STATISTICS)
	$(BIN)/python -m coverage report

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.ready

# torch goes first and with its own dependencies: outside a CPU-only machine these are CUDA packages
# that the lock cannot name. Everything else is pinned exactly and installed as it stands.
$(VENV)/.ready: requirements.lock pyproject.toml
	@echo "Setting up $(VENV), once: two minutes or so, and quiet."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install torch==2.13.0
	$(PIP) install --no-deps -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	-$(BIN)/python tests/schemas.py
	touch $@

clean:
	rm -rf $(VENV) evenhand-demo
