# The main commands: `make demo`, `make test`, `make demo-pretraining`, `make hub-modules`. They make the environment
# from its lock when it is missing.
# STACK=paddle33 (default) is Paddle 3.3.1 with PaddleNLP 3.0.0b4; STACK=paddle26 is Paddle 2.6.2 with
# PaddleNLP 2.8.1. Each has its own environment.
STACK ?= paddle33
PYTHON ?= python3
VENV := .venv$(if $(filter-out paddle33,$(STACK)),-$(STACK))
RUN := $(VENV)/bin/python
PYTEST := $(RUN) -m pytest

.PHONY: demo demo-pretraining test test-slow test-wheel test-gpu coverage lint docs hub-modules peers lock clean

demo: $(VENV)/.complete
	$(RUN) -m electra_paddle demo --run-dir runs/demo

# The whole way from text to a module, on the embedded sample, with two processes.
demo-pretraining: $(VENV)/.complete
	$(RUN) tools/demo_pretraining.py --run-dir runs/demo_pretraining

test: $(VENV)/.complete
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not gpu"

test-slow: $(VENV)/.complete
	$(PYTEST) -m "slow and not gpu"

# The wheel, built and installed into an environment without a clone: a module, a prediction and the demo; the notebooks.
test-wheel: $(VENV)/.complete
	$(PYTEST) tests/test_packages.py tests/test_examples.py

# What can be compared on a GPU only; with two of them also two processes. The same tests run in `make test` on the CPU
# with the GPU's branches. Where there is no GPU nothing would be tested: that is a failure.
test-gpu: $(VENV)/.complete
	@$(PYTEST) -m gpu

# How much of the package the fast tests reach, file by file; htmlcov/index.html shows the lines. FOLDERS=tests/text
# measures with some tests only.
FOLDERS ?= tests
coverage: $(VENV)/.complete
	$(PYTEST) $(FOLDERS) -m "not slow and not gpu" --cov --cov-report=term --cov-report=html

lint: $(VENV)/.complete
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# The manual in docs/ as a site in site/; a link that leads nowhere is an error. Neither Paddle nor this package is imported.
docs: .venv-docs/.complete
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict

.venv-docs/.complete: requirements/docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/docs.txt
	@touch $@

# An archive for `hub install` of each published model; its weights are fetched when it is first used.
hub-modules: $(VENV)/.complete
	for folder in hub_modules/*/; do \
		$(RUN) tools/export_hub_module.py $$folder dist/hub_modules/$$(basename $$folder).tar.gz --overwrite || exit; \
	done

# PyTorch, transformers and TensorFlow in an environment of their own: `tools/benchmark.py pretrain`, `finetune` and
# `predict` measure themselves against them, and slow tests let them read and write what is converted.
peers: .venv-peers/.complete

.venv-peers/.complete: requirements/peers.txt
	@echo ".venv-peers: installing the packages of requirements/peers.txt; takes some minutes"
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/peers.txt
	@touch $@

# The stamp comes last, so an interrupted installation is taken up again by the next `make`.
$(VENV)/.complete:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 10) <= v < (3, 13) else "PYTHON=$(PYTHON): found Python %d.%d, expected 3.10 to 3.12; name one with make PYTHON=python3.11" % v[:2])'
	@test -f requirements/$(STACK).txt || { echo "STACK=$(STACK): unknown, expected paddle33 or paddle26" >&2; exit 2; }
	@echo "$(VENV): installing the packages of requirements/$(STACK).txt, about 2.5 GB; takes some minutes"
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements/$(STACK).txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The locks: the newest versions of the day on which each stack is known to import. Needs `pip install uv`. SwanLab is
# younger than the older stack's day.
COMPILE = uv pip compile pyproject.toml --extra cpu --extra dev --universal --python-version 3.10 --quiet \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	--exclude-newer-package modelscope=2026-11-01 --exclude-newer-package modelscope-hub=2026-11-01 \
	--exclude-newer-package nanotoken=2026-11-01
lock:
	$(COMPILE) --extra swanlab -c requirements/paddle33.in -o requirements/paddle33.txt --exclude-newer 2025-03-30 \
		--exclude-newer-package paddlepaddle=2026-11-01 --exclude-newer-package safetensors=2026-11-01 \
		--exclude-newer-package paddle2onnx=2026-11-01
	$(COMPILE) -c requirements/paddle26.in -o requirements/paddle26.txt --exclude-newer 2024-09-30

clean:
	rm -rf runs build site htmlcov .coverage
