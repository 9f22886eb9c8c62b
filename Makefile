# The targets that CI and the README call.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
GO ?= go
FUZZTIME ?= 10000x
N ?= 200
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.7.0
GOVULNCHECK ?= golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: all build demo test check lint vuln docs fuzz bench fidelity interop oracle-acpi

all: check build

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

demo: ; @$(GO) run ./cmd/tdxkit $(shell cat fixtures/demo/args)

test:
	$(GO) test ./...
	@[ -d "$${TDXKIT_TRUTH:-../shared/truth}" ] || echo "left out: tests on the full collection of evidence (none at $${TDXKIT_TRUTH:-../shared/truth}; fixtures/ holds part of it)"

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	GOARCH=386 $(GO) vet ./...
	GOOS=windows $(GO) vet ./cmd/...
	GOOS=darwin $(GO) vet ./cmd/...
	$(GO) run $(STATICCHECK) ./...

vuln:
	$(GO) run $(GOVULNCHECK) ./...

docs:
	$(GO) generate ./...
	git diff --exit-code docs

fuzz:
	scripts/fuzz $(FUZZTIME)

bench:
	scripts/bench

fidelity:
	$(GO) test -count=1 -run 'TestFidelity' -v ./mr/predict | grep -E '^ *(fidelity|---|FAIL|ok)'

interop:
	scripts/interop/run

oracle-acpi:
	scripts/oracle-acpi $(N)

check: lint test docs
