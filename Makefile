# A thin layer over CMake: the variants of the build are the presets in .cmake/presets, and each is
# built in build/NAME. See docs/decisions/0002-presets.md.
#
#   make            build what is installed            make demo     see it work
#   make test       every test on every variant        make bench    measure it
#   make sim        ten thousand fresh storms          make soak     a million
#   make torture    every fault on real nodes, hours   TORTURE_ROUNDS=N of each (docs/faults.md)
#   make install    PREFIX=/usr/local DESTDIR=         make format   lay out the sources
#   make deps       install what is missing (Debian)   make bench-failover   all takeovers by itself, and more
#   make clean

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := all
.PHONY: all deps test sim soak torture demo bench bench-failover format install clean

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
DEPS ?= deps
export BUILD := $(abspath $(BUILD))
export BATON_SOURCE := $(CURDIR)
export BATON_BUILD := $(BUILD)/gcc

all:
	@cmake -C .cmake/presets/gcc.cmake -S . -B $(BATON_BUILD) -G Ninja -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build $(BATON_BUILD) --target programs

deps:
	@bash .ci/deps

test: $(DEPS)
	@bash tests/run

sim soak: SEEDS = $(if $(filter soak,$@),1000000,10000)
sim soak: $(DEPS) all
	@cmake --build $(BATON_BUILD) --target sim
	@/usr/bin/python3 -B tests/sim/run.py $(BATON_BUILD)/tests/sim/sim $(SEEDS)

demo: $(DEPS) all
	@/usr/bin/python3 -B tests/system/demo.py

# The fault matrix of docs/faults.md; TORTURE_ROUNDS=N bounds the rounds of each row.
torture: $(DEPS) all
	@cmake --build $(BATON_BUILD)
	@/usr/bin/python3 -B tests/system/torture.py

bench: $(DEPS) all
	@/usr/bin/python3 -B tests/bench/run.py

bench-failover: $(DEPS) all
	@$(if $(DEPS),bash .ci/deps peers)
	@/usr/bin/python3 -B tests/bench/run.py --long

format:
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

install: all
	@DESTDIR=$(DESTDIR) cmake --install $(BATON_BUILD) --prefix $(PREFIX)

clean:
	rm -rf $(BUILD)
