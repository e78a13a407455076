# `make` shows what there is. Each target is one script under hack/, so that all of it works without make, too.
.DEFAULT_GOAL := help
.PHONY: conformance help build docs errors demo test test-unit test-root test-vm lint bench soak install uninstall deps clean

PREFIX ?= /usr/local
DESTDIR ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

build: ## Build husk, husk-shim, husk-cri and huskctl into target/bin
	@hack/build

docs: ## Write manual pages and shell completions into target/share
	@hack/docs/run

errors: ## Write docs/errors.md anew from what husk (as built) and runc say (root)
	@cargo test --locked --quiet -p husk-tests --test errors -- --ignored write_the_table

demo: ## Run a pod end to end in a corner of its own, and explain how its containers ended
	@hack/deps demo
	@hack/build
	@hack/demo/run

test: ## Run all tests: units, integration on this machine, integration in a VM with pure cgroup v2
	@hack/test all

test-unit: ## Run the unit tests alone (no root needed)
	@hack/test unit

test-root: ## Run the integration tests on this machine (root)
	@hack/test root

test-vm: ## Run the integration tests that need pure cgroup v2 in a throw-away VM (root)
	@hack/test vm

conformance: ## Run the conformance suite under husk, runc and crun, and write the table of counts (root)
	@hack/conformance

lint: ## Check formatting, lints, licences and the rules of CONTRIBUTING.md
	@hack/lint

bench: ## Measure husk beside runc, crun and a bare minimum; writes docs/benchmarks.md
	@hack/bench/run

soak: ## Run 10,000 container lives, 8 at a time, and look for anything left behind
	@hack/soak

install: ## Install into $(DESTDIR)$(PREFIX) what `make build` and `make docs` made
	@hack/install install "$(DESTDIR)$(PREFIX)"

uninstall: ## Remove what `make install` installed
	@hack/install uninstall "$(DESTDIR)$(PREFIX)"

deps: ## Install the Debian packages that the other targets need
	@hack/deps test demo vm bench

clean: ## Remove what was built, and the VM's files
	@rm -rf target .vm
