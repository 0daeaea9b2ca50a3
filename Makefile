# Ostraka: what people type. `make help` lists it.
#
# Only Go is needed to build. Tests also want the tools in TOOLS, a pinned anvil, contracts, Chromium, litewitness, btcd and LiteSVM, and the release
# before, which are fetched or built into .cache; `make test` says what is missing, or installs it when run as root.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory --no-builtin-rules

# What ships links no C; tests run the same. ostraka-hsm alone does, and is built where it is used.
export CGO_ENABLED := 0

FUZZTIME ?= 5s
TARGET   ?=
BENCH    ?= ./mpc/... ./crypto/... ./node/... ./chain/...

# Of a release, by who runs make, never by the environment: VERSION=v0.5.0; COMMIT where the source is no clone.
VERSION :=
COMMIT  :=

GOFILES = find . -name '*.go' -not -path './.cache/*' -not -path './bin/*'

# program:Debian package
TOOLS := ssh-keygen:openssh-client ssh-agent:openssh-client cc:build-essential softhsm2-util:softhsm2 swtpm:swtpm swtpm_setup:swtpm-tools ip:iproute2 nsenter:util-linux gcore:gdb node:nodejs

.PHONY: help build wasm release test nightly bench fuzz lint deps tools go cover clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: go ## bin/ostraka, static and reproducible; with a C compiler bin/ostraka-hsm for PKCS#11 tokens
	@mkdir -p bin
	go build -trimpath -o bin/ ./cmd/...
	@if command -v cc > /dev/null; then echo "CGO_ENABLED=1 go build ./cmd/ostraka-hsm"; CGO_ENABLED=1 go build -trimpath -o bin/ ./cmd/ostraka-hsm; \
	else echo "no C compiler: bin/ostraka-hsm loads no token's library, and says so (PKCS#11 alone needs it)"; fi

wasm: go ## the verifier for browsers, in console/wasm/dist; a build with -tags embed_wasm carries it
	@go run ./internal/wasmbuild/make

# The recipe is internal/release/recipe.go: it pins the toolchain, the flags and Go's environment.
release: go ## dist/VERSION: programs for every platform, their hashes and bills of materials, for maintainers to sign
	@go run ./internal/release build -version '$(VERSION)' -commit '$(COMMIT)'

test: deps lint ## all tests, six fuzz targets, real anvil, Chromium, litewitness, btcd and LiteSVM (15 minutes at most)
	@go run ./internal/testrun test -fuzztime $(FUZZTIME)

nightly: FUZZTIME := 10s
nightly: deps lint ## long tests, race detector, all fuzz targets, geth, bitcoind (two to three hours on 2 cores)
	@go run ./internal/components/fetch nightly
	@go run ./internal/testrun nightly -fuzztime $(FUZZTIME)

fuzz: go ## every fuzz target for FUZZTIME (5s), or those that TARGET matches
	@go run ./internal/testrun fuzz -fuzztime $(FUZZTIME) -match '$(TARGET)'

bench: go ## benchmarks of BENCH (./mpc/... ./crypto/... ./node/... ./chain/...)
	go test -run '^$$' -bench . $(BENCH)

lint: go ## gofmt and go vet
	@echo "gofmt"
	@bad=$$($(GOFILES) -print0 | xargs -0 gofmt -l); if [ -n "$$bad" ]; then printf 'not formatted, run gofmt -w:\n%s\n' "$$bad" >&2; exit 1; fi
	@echo "go vet"
	@go vet ./...
	@echo "go vet -tags failpoint,nightly, where files have one of them"
	@go vet -tags failpoint,nightly $$($(GOFILES) -print0 | xargs -0 grep -lE '^//go:build .*(failpoint|nightly)' | xargs -n1 dirname | sort -u)

cover: go ## statement coverage, by function, in .cache/cover.txt
	@mkdir -p .cache
	go test -count=1 -coverpkg=./... -coverprofile=.cache/cover.out ./...
	@go tool cover -func=.cache/cover.out > .cache/cover.txt
	@tail -n 1 .cache/cover.txt

deps: tools ## what tests need: Debian packages (as root), the pinned anvil, contracts, Chromium, litewitness, btcd and LiteSVM, the release before
	@go run ./internal/components/fetch

# tools installs missing programs as root on Debian; otherwise it says what to install.
# npm is wanted only while what it carries is not in the cache: anvil, Chromium, compiled contracts, LiteSVM.
tools: go
	@missing=""; \
	wanted="$(TOOLS)"; \
	{ compgen -G '.cache/anvil-*/bin/anvil' && compgen -G '.cache/chromium-*/bin/chromium' && compgen -G '.cache/safe-*/contracts' && compgen -G '.cache/permittoken-*/contracts' && compgen -G '.cache/litesvm-*/bin/litesvm'; } > /dev/null || wanted="$$wanted npm:npm"; \
	for tool in $$wanted; do \
		command -v "$${tool%%:*}" > /dev/null || case " $$missing " in *" $${tool#*:} "*) ;; *) missing="$$missing $${tool#*:}" ;; esac; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		echo "installing:$$missing"; \
		apt-get update -qq < /dev/null; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing < /dev/null; \
	else \
		echo "Tests need Debian packages that are not installed. As root, run: apt-get install$$missing" >&2; \
		exit 1; \
	fi

go:
	@command -v go > /dev/null || { echo "Go 1.26 or later is not installed: see https://go.dev/doc/install" >&2; exit 1; }

clean: ## remove bin; releases in dist, and the cache of components in .cache, stay
	rm -rf bin
