# Two commands: `make lab` opens the first lesson, `make test` runs every test. Beside them
# `make fuzz` has thousands of damaged files read; what goes wrong is kept in tests/corpus.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NOTEBOOK ?= notebooks/00_start_here.ipynb
FUZZ_CASES ?= 5000
FUZZ_FIRST ?= 0
FUZZ_FORMATS ?=

# On Linux without a display there is no window to open: print the address instead.
DISPLAYLESS := $(if $(filter Linux,$(shell uname -s)),$(if $(DISPLAY)$(WAYLAND_DISPLAY),,yes))
BROWSER_FLAG := $(if $(DISPLAYLESS),--no-browser)

.PHONY: lab test fuzz format clean

lab: $(VENV)/.lab
	$(BIN)/jupyter lab --allow-root $(BROWSER_FLAG) --LabApp.default_url=/lab/tree/$(NOTEBOOK)

# Some machines forbid Python to keep what it compiles. Here a great many processes start.
test: export PYTHONDONTWRITEBYTECODE :=
# Memory that a test gives back is wanted again at once. Kept, it need not be cleared by the system
# each time; for convolutions of large batches that is up to half of the time.
test: export MALLOC_MMAP_MAX_ := 0
test: export MALLOC_TRIM_THRESHOLD_ := 17179869184
test: $(VENV)/.test
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

# How many files of each format, beginning with which, and of which formats: FUZZ_CASES=50000
# FUZZ_FIRST=5000 FUZZ_FORMATS="card bundle" make fuzz. The same numbers give the same files.
fuzz: $(VENV)/.test
	cd tests && ../$(BIN)/python -m fuzzing --cases $(FUZZ_CASES) --first $(FUZZ_FIRST) $(FUZZ_FORMATS)

# The stamps make a second run start at once. torch stands in the same `pip install` as all
# that needs it; otherwise pip would choose a build of its own.
$(VENV)/.lab: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt -e .
	touch $@

$(VENV)/.test: $(VENV)/.lab
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt -e '.[test]'
	touch $@

format: $(VENV)/.test
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

clean:
	rm -rf $(VENV)
