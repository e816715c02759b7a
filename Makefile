# Every verb a developer needs. Each sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench fuzz train clean

demo: $(VENV)/installed
	$(BIN)/digitocr extract sample_docs -o out.csv
	@cat out.csv

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/speed.py

# Seconds for each of eleven decoders.
SECONDS ?= 600

fuzz: $(VENV)/installed-dev
	$(BIN)/python tests/fuzz.py --seconds $(SECONDS)

train: $(VENV)/installed
	$(BIN)/digitocr train -o runs/digits.safetensors

clean:
	rm -rf $(VENV) runs out.csv*

# The stamps hold the time of the last install; a change of what is needed installs again.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,ray]'
	touch $@
