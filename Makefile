# belay. "make help" lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/belaydev/belay/internal/cli.version=$(VERSION)
export CGO_ENABLED ?= 0

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  \1|\2/' | column -t -s '|'

.PHONY: build
build: $(BIN)/belay ## Build the binary into bin/

$(BIN)/belay: $(shell find . -name '*.go' -not -path './test/*' -not -path './tools/*') go.mod go.sum
	@mkdir -p $(BIN)
	go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/belay

.PHONY: demo
demo: build ## Watch a bad release being caught and taken back, in under a minute (KEEP=1 leaves it running)
	@mkdir -p $(BIN)
	@go build -o $(BIN)/demo ./examples/demo && go build -o $(BIN)/demo-shop ./examples/demo/shop
	@$(BIN)/demo $(if $(KEEP),--keep)

.PHONY: test
test: test-deps lint unit test-story ## Everything: installs what the tests need, lints, runs all tests

.PHONY: unit
unit: ## The tests beside the code: need nothing installed
	go test ./...

.PHONY: test-story
test-story: build ## Whole-product tests on real applications and servers
	go test -tags story -parallel 12 -timeout 20m ./test/...

.PHONY: test-deps
test-deps: ## Install the Debian packages that the story tests use
	@./test/install-deps

.PHONY: lint
lint: $(BIN)/golangci-lint ## gofmt, go vet, linters pinned in tools/
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run make fmt'; exit 1; }
	$(BIN)/golangci-lint run ./...

$(BIN)/golangci-lint: tools/go.mod tools/go.sum
	@mkdir -p $(BIN)
	cd tools && go build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: fmt
fmt: ## Format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: generate
generate: ## Rewrite the generated documentation
	go test ./internal/config -update
	UPDATE=1 go test ./internal/watch/state ./internal/cli/...

.PHONY: bench
bench: build ## Measure detection, switching, start and memory; writes docs/benchmarks.md
	go run ./test/bench -out docs/benchmarks.md

.PHONY: bench-judge
bench-judge: ## Measure how well the judge decides; writes docs/decision-quality.md (half an hour)
	go run ./test/judgebench -out docs/decision-quality.md

.PHONY: fuzz
fuzz: ## Fuzz the parsers, a minute each
	@for p in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$p/*_test.go | sed 's/func //'); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-60s} $$p || exit 1; done; done

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BIN)
