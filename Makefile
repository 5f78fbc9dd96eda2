# The front door. `make help` tells what there is; everything is made in target/.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
# The sandbox and the command line look for their tools there, whatever cargo is configured to.
export CARGO_TARGET_DIR := $(CURDIR)/target
# Under `make -j` too: a second compiler of the EC2 SDK would want 7 GB more.
.NOTPARALLEL:

.PHONY: help
help: ## This list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

.PHONY: demo
demo: tools ## The article's deployment, planned, applied, rotated and destroyed on this machine
	@[ -e target/function/pgrotate-function.zip ] || echo "The first time, what it needs is built: about 13 minutes on" \
		"two idle cores, most of them for the AWS SDK, and 4 GB in target/. The demo itself takes one minute."
	@$(MAKE) function
	@sandbox/ctl install
	@demo/run

.PHONY: test
test: function ## All tests: the sandbox's own, then those of cargo
	@command -v jq > /dev/null || { echo "there is no jq, which a page of docs/ uses; on Debian: apt-get install jq" >&2; exit 1; }
	@sandbox/ctl install --postgres 16,17,18
	@demo/quietly "Building the tests" -- cargo test --locked --workspace --no-run
	sandbox/test
	@# Most of them wait most of the time, for the emulated AWS: more at once than there are cores.
	RUST_TEST_THREADS=$$((2 * $$(nproc) + 1)) cargo test --locked --workspace

.PHONY: docs
docs: tools ## The book of docs/, in target/book; every link within it is followed
	@scripts/book

.PHONY: workflows
workflows: tools ## action.yml and the workflows of examples/, by actionlint and zizmor
	@scripts/workflows

.PHONY: browser
browser: ## The HTML page in headless Chromium: it loads nothing, filters, unfolds, can be read
	@demo/quietly "Building the tests" -- cargo test --locked --workspace --no-run --test plan
	@cargo test --quiet --locked --workspace --test plan -- --ignored --exact pages::for_the_browser > /dev/null
	@tests/browser/check

# 15 is no major that the sandbox offers as RDS; the functions have to get along with it all the same.
.PHONY: majors
majors: build ## The functions' tests on PostgreSQL 15, 16, 17 and 18
	@demo/quietly "Building the tests" -- cargo test --locked --workspace --no-run
	@for major in 15 16 17 18; do \
		bin="$$(sandbox/ctl postgres $$major)"; \
		echo "PostgreSQL $$major: $$($$bin/postgres --version)"; \
		PGROTATE_TEST_POSTGRES="$$bin" cargo test --locked --workspace --test functions; \
	done

.PHONY: fuzz
fuzz: build ## A million mutated inputs for each reader of the functions; SEED=7 and INPUTS=… choose others
	@PGROTATE_FUZZ_INPUTS=$(or $(INPUTS),1000000) PGROTATE_FUZZ_SEED=$(or $(SEED),1) \
		cargo test --locked --workspace --test fuzz -- --nocapture

.PHONY: lint
lint: tools ## Formatting, clippy without a warning, and the scripts
	cargo fmt --all --check
	@demo/quietly "Running clippy" -- cargo clippy --locked --workspace --all-targets -- -D warnings
	demo/lint

.PHONY: bench
bench: function ## What plan, apply, a rotation and the function cost, beside what they are to cost
	@sandbox/ctl install
	@demo/bench
	@echo; echo "Pure planning and rendering, processor time of a development build; the aim is < 1 s each, and 1 : 10:"
	@cargo test --quiet --locked --workspace --test plan -- --ignored --nocapture speed 2>/dev/null | grep users

.PHONY: crash
crash: tools ## Every mishap at every side effect of a rotation, and every order of two runs: about 25 minutes
	@sandbox/ctl install
	PGROTATE_CRASH=whole cargo test --locked --workspace --test functions -- matrix explore --nocapture

.PHONY: faults
faults: function ## Every mishap at every call of apply and destroy, every stop, 200 changes at random: about 40 minutes
	@sandbox/ctl install
	PGROTATE_FAULTS=whole cargo test --locked --workspace --test plan -- mutations --nocapture
	PGROTATE_FAULTS=whole cargo test --locked --workspace --test sandbox -- faults mutations --nocapture --test-threads=1

.PHONY: soak
soak: tools ## Clients that log in while 200 rotations run, five minutes
	@sandbox/ctl install
	PGROTATE_SOAK=whole cargo test --locked --workspace --test functions -- soak --nocapture --test-threads=1

.PHONY: build
build: tools ## The command line: target/debug/pgrotate
	@demo/quietly "Building pgrotate" -- cargo build --locked --workspace

# Not `cargo run -p function-artifact`: features would unify differently, and much would be built twice.
.PHONY: function
function: build ## The rotation function's zip, which a development build takes from target/function
	@CARGO_MANIFEST_DIR="$(CURDIR)/crates/function-artifact" \
		demo/quietly "Building the rotation function" -- target/debug/function-artifact

.PHONY: sandbox
sandbox: ## AWS and PostgreSQL on this machine; see sandbox/README.md
	@sandbox/ctl install --postgres 16,17,18

.PHONY: clean
clean: ## Removes target/
	@if [ -e target/sandbox/.lock ]; then sandbox/ctl down; fi
	rm -rf target

# Told before anything is built, not after ten minutes of it.
.PHONY: tools
tools:
	@command -v cargo > /dev/null || { echo "there is no cargo: install Rust, by https://rustup.rs" >&2; exit 1; }
	@command -v python3 > /dev/null || { echo "there is no python3; on Debian: apt-get install python3" >&2; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@echo 'int main(void) { return 0; }' | cc -x c - -o /dev/null \
		|| { echo "there is no working C compiler; on Debian: apt-get install gcc libc6-dev" >&2; exit 1; }
