# `make run` needs Python 3.11, 3.12 or 3.13 and nothing else; everything goes into .venv.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# uv takes a fifth of pip's time for the same pins, but does not read pip's configuration, so it is
# given the wheel folders and web indexes named there. Where uv fails, pip does it.
PIP_SETTING = $(BIN)/python -m pip config list | sed -n "s/.*[.]$(1)='\(.*\)'/\1/p" | sed 's/\\n/ /g' | tr ' ' '\n'
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
export PATH := $(CURDIR)/$(BIN):$(PATH)
# pip leaves compiling to the first import (--no-compile), which some images forbid: every stage
# and every test's process would then compile all that it imports.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
.PHONY: setup run test test-browser test-vllm gpu-pins lint results ablations bench clean help

help: ## these lines
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(INSTALLED) ## .venv with pinned packages, the embedded model, the benchmark
	$(BIN)/looptool setup

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; name it: make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt uv \
		&& UV_FIND_LINKS="$$($(call PIP_SETTING,find-links) | tr '\n' ',')" \
			UV_EXTRA_INDEX_URL="$$($(call PIP_SETTING,extra-index-url) | grep ^http | tr '\n' ' ')" \
			$(BIN)/uv pip install --quiet \
			--python $(BIN)/python -c constraints.txt -e '.[dev]' \
		|| $(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[dev]'
	touch $@

run: setup ## the whole loop as params.yaml says, then its summary
	$(BIN)/looptool check
	$(BIN)/looptool plan
	$(BIN)/dvc repro
	$(BIN)/looptool summary

test: setup ## all tests
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

test-browser: setup ## the report in Chromium, by Debian's package where it is missing
	command -v chromium >/dev/null || { $(SUDO) apt-get update -qq && \
		$(SUDO) apt-get install -qq -y --no-install-recommends chromium >/dev/null; }
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[browser]'
	$(BIN)/python -m pytest -q -m browser

test-vllm: setup ## engines and a loop on the real vLLM, in an environment of its own
	$(BIN)/looptool setup --with vllm
	$(VENV)-vllm/bin/python -m pytest -q -m vllm tests/vllm/test_engines.py
	$(BIN)/python -m pytest -q -m vllm tests/vllm/test_loop.py tests/vllm/test_families.py

gpu-pins: setup ## whether constraints-gpu.txt resolves, without installing
	$(BIN)/python -m pip install --quiet --dry-run --ignore-installed -c constraints-gpu.txt -e '.[vllm]'

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

results: setup ## the long experiment of docs/results.md; again to go on
	$(BIN)/looptool results

ablations: setup ## those of the paper: the loop, without each of its parts, static and fresh
	$(BIN)/looptool results loop no-verify no-expand repeat no-high-ppl static fresh

bench: setup ## timings of the parts that a whole run spends its time in
	$(BIN)/python -m benchmarks

clean: ## remove .venv and what stages wrote; DVC's cache stays (`dvc checkout`)
	rm -rf $(VENV) metrics dvc_plots build ./*.egg-info
	find data -mindepth 1 -maxdepth 1 ! -name tools ! -name samples ! -name reviews -exec rm -rf {} +
	find models -mindepth 1 -maxdepth 1 ! -name base.dvc -exec rm -rf {} +
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
