# Ringwall. `make help` lists the targets. Folders and options can be given: make run STATE=/srv/rw PORT_OFFSET=...
BUILD     ?= build
BUILDTEST ?= build-test
STATE     ?= state
PREFIX    ?= /usr
TIME      ?= 60
CC        ?= gcc
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 20

run: ## install what is missing, build, set up, prove one secured call, serve until Ctrl-C
	@tools/deps.sh run
	@$(MAKE) --no-print-directory compile
	@tools/run.sh $(BUILD) $(STATE)

build: ## install what the build needs and build (release)
	@tools/deps.sh build
	@$(MAKE) --no-print-directory compile

compile:
	@tools/build.sh $(BUILD) release

test: ## install what the tests need, build with sanitizers, run everything
	@tools/deps.sh test
	@tools/test.sh $(BUILDTEST) $(BUILD)

interop: ## run the matrix of real phones and proxies and write docs/interop.md
	@tools/deps.sh test
	@$(MAKE) --no-print-directory compile
	@tools/interop.sh $(BUILD)

lint: ## layers, format, static checks
	@tools/deps.sh test
	@tools/lint.sh

fuzz: ## run every fuzzer for TIME seconds (default 60)
	@tools/deps.sh fuzz
	@tools/fuzz.sh $(TIME)

soak: ## 100,000 calls with churn: memory and descriptors before and after (3 min)
	@tools/deps.sh test
	@tools/soak.sh

bench: ## figures beside the peers, as tables
	@tools/deps.sh bench
	@tools/bench.sh

diagrams: compile ## the state machines as pictures (Mermaid text)
	@$(BUILD)/src/sip/diagrams

install: build ## install under PREFIX (default /usr) with users, unit and man page
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) tools/install.sh $(BUILD)

uninstall: ## remove what install put there; the state folder stays
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) tools/uninstall.sh

clean: ## remove the build folders
	rm -rf build build-*

.PHONY: help run build compile test interop lint fuzz bench diagrams install uninstall clean
