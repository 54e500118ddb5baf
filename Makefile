# `make help` lists the targets. Every target first runs scripts/setup, which is quick when nothing has changed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PORT ?= 8080
DEMO_SECONDS ?= 0
PYTEST_ARGS ?=
# Tests mostly wait for discovery and frames, so two cores can run three at a time.
PARALLEL := -n 3 --dist loadfile
# A launch has several processes, so two at a time keep two cores busy; the tests of a file may share one launch.
# PARALLEL= turns this off too.
LAUNCHES = $(if $(PARALLEL),-n 2 --dist loadfile)
# Without byte code each of the tests' thousands of processes compiles what it imports.
unexport PYTHONDONTWRITEBYTECODE
OPEN := source install/setup.bash &&

.PHONY: help setup setup-test demo test test-bare test-hard test-matrix lint types unit backends node launch-tests launch-testing setup-training training-tests demo-train demo-improve docs bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## install and build what the demo needs (ROS=jazzy|kilted, EDGECAM_PYTHON=/path; called by the other targets)
	@scripts/setup

setup-test:
	@scripts/setup test

demo: setup ## clip -> camera -> RTP/H.265 -> detector -> page at http://127.0.0.1:8080 (DEMO_SECONDS=20: stop after 20 s)
	@$(OPEN) exec scripts/demo --port $(PORT) --seconds $(DEMO_SECONDS)

test: ## everything CI checks; all parts run even if one fails, ends with a table (PARTS="unit node" for some)
	@scripts/test

test-hard: setup-test ## the parts of PARTS five times: with four busy processes, on one core, in random order; hours
	@.venv/bin/python3 scripts/test_hard.py

test-matrix: ## node and launch tests on Jazzy and Kilted, on every Python 3.10 to 3.14 found, with NumPy 1 and 2; hours
	@scripts/test-matrix

test-bare: ## demo and test in a fresh clone on bare Debian 12 and 13 (debootstrap, root), as root and with sudo; hours
	@scripts/test-bare $(SUITES)

lint: setup ## ruff check and format, vocabulary, import direction, links, manifests
	@scripts/lint

types: setup ## mypy
	@scripts/types

unit: setup ## tests without ROS
	@$(OPEN) python3 -m pytest tests/unit $(PARALLEL) $(PYTEST_ARGS)

backends: setup-test ## the inference back ends that only tests install: OpenVINO, TensorRT-RTX (builds engines without a GPU)
	@$(OPEN) PYTHONPATH=.venv/backends:$$PYTHONPATH python3 -m pytest tests/unit/test_parity_backends.py tests/unit/test_detector.py tests/unit/test_tensorrt.py $(PYTEST_ARGS)

node: setup-test ## node tests over real DDS
	@$(OPEN) python3 -m pytest tests/node $(PARALLEL) $(PYTEST_ARGS)

FUZZ := tests/node/test_fuzz.py tests/node/test_stopping.py tests/unit/test_rtp_fuzz.py tests/unit/test_viewer_hostile.py tests/unit/test_viewer_sdp.py
fuzz: setup-test ## hostile messages, datagrams and requests to every node, and 20 stops of each during start-up: about 30 minutes
	@$(OPEN) EDGECAM_FUZZ=1000 EDGECAM_STOPS=20 python3 -m pytest $(FUZZ) -n 3 --timeout 12000 $(PYTEST_ARGS)

launch-tests: setup-test ## tests that start the shipped launch files
	@$(OPEN) python3 -m pytest tests/launch $(LAUNCHES) $(PYTEST_ARGS)

launch-testing: setup ## the launch_testing suite, on machines with ROS 2 from apt
	@$(OPEN) tests/launch_testing/run

setup-training: ## PyTorch into .venv-training, for edgecam_training (6 GB, some minutes)
	@scripts/setup-training

training-tests: setup-training ## data sets, training, export and the torch back end, on the CPU
	@OMP_NUM_THREADS=1 .venv-training/bin/python -m pytest tests/training $(PYTEST_ARGS)

demo-train: setup-training ## compose, train, score and export the demonstration model, 10 to 20 minutes on two cores
	@examples/train_animals.sh

demo-improve: setup-test ## from the field to a better model, unattended: collect, label, train, test, swap; 15 minutes on two idle cores (FRESH=1)
	@$(OPEN) exec python3 -m examples.improve_animals $(if $(FRESH),--fresh)

docs: ## the documentation site, into build/site; fails on any warning and any dead link
	@scripts/setup-docs
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict

bench: setup-test ## measure against references; resumes (BENCH_ARGS="--quick", "--list", "rtp", "--publish")
	@$(OPEN) python3 -m benchmarks $(BENCH_ARGS)

clean: ## remove build results (the virtual environment and the model cache stay)
	rm -rf build install log
