# The commands people type. Each sets up .venv by itself; a second run reinstalls nothing.
PYTHON ?= python3
BIN := .venv/bin
# Labs whose mutants are judged; all of them by `make mutants MUTANTS=`.
MUTANTS ?= features backprop convnets deep

.PHONY: demo test lint labs mutants bench bench-grading bench-checks bench-train bench-rl clean
.PHONY: demo test lint labs mutants bench bench-grading bench-checks bench-train bench-alphago clean

demo: .venv/.ready
	@echo "== demo: a class is graded, a network is trained by hand"
	@$(BIN)/dl780 demo

test: .venv/.ready
	@echo "== tests"
	@$(BIN)/pytest -n 2

lint: .venv/.ready
	@echo "== ruff, mypy, fresh notebooks"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/dl780 release --check

labs: .venv/.ready
	@echo "== student notebooks from labs/"
	@$(BIN)/dl780 release

mutants: .venv/.ready
	@echo "== mutants of the solutions, each of which a question must refuse"
	@$(BIN)/python tests/mutants.py $(MUTANTS)

bench: bench-grading bench-checks bench-train bench-rl
bench: bench-grading bench-checks bench-train bench-alphago

bench-grading: .venv/.ready
	@echo "== a class graded by nbgrader, by otter-grader and by this; their environments go to .bench/"
	@$(BIN)/python benchmarks/grading.py

bench-checks: .venv/.ready
	@echo "== lab.check, question by question, and imports"
	@$(BIN)/python benchmarks/checks.py

bench-train: .venv/.ready
	@echo "== training rates, recipes with their seeds, steps by hand; real MNIST is found in DL780_DATA or data/"
	@$(BIN)/python benchmarks/training.py

bench-rl: .venv/.ready
	@echo "== Q-learning and DQN beside stable-baselines3; ALE and Box2D: pip install -e '.[atari,box2d]'"
	@$(BIN)/python benchmarks/rl.py
bench-alphago: .venv/.ready
	@echo "== simulations a second beside OpenSpiel's search; needs pip install -e '.[go]'"
	@$(BIN)/python benchmarks/alphago.py

.venv/.ready: setup.cfg pyproject.toml
	@echo "== setting up .venv with $$($(PYTHON) --version); the first time this fetches a few GB, mostly torch"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dl780 needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --disable-pip-version-check --progress-bar on --quiet -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv .bench build dist *.egg-info demo .pytest_cache .mypy_cache .ruff_cache
