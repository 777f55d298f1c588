# Reckon. `make` alone lists the targets.
SHELL := /bin/bash
export CGO_ENABLED ?= 0
# these use the machine's containers and network, and so have it to themselves
MACHINE = agent/integration test/e2e
DATA ?= /var/lib/reckon
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PACKAGES := containerd runc containernetworking-plugins iptables conntrack iproute2 kmod procps ca-certificates curl busybox-static
TEST_PACKAGES := gcc libc6-dev strace socat
# Packages that are small enough to be tested with the race detector on two cores.
RACE := ./projections/... ./controllers/... ./scheduler/... ./bus/memory/...
BIN ?= bin/reckon
KUBERNETES := v1.37.1
# No -s or -w: they would have everything compiled a second time, beside the tests.
# The embedded kubectl says which Kubernetes it is of.
LDFLAGS := -X main.version=$(VERSION) \
	-X k8s.io/component-base/version.gitVersion=$(KUBERNETES) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37 \
	-X k8s.io/client-go/pkg/version.gitVersion=$(KUBERNETES)
LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.DEFAULT_GOAL := help
.PHONY: help bench-scheduler deps deps-test build example up down test race lint verify bench fmt clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

deps: ## install the Debian packages that a node needs and that are missing
	@hack/install-packages $(PACKAGES)

deps-test: deps ## install what the tests need besides
	@hack/install-packages $(TEST_PACKAGES)
	@{ command -v node && command -v npm; } >/dev/null || hack/install-packages nodejs npm

build: ## build bin/reckon
	@mkdir -p $(dir $(BIN))
	@echo "building $(BIN) (the first time this takes some minutes)"
	@go build -ldflags "$(LDFLAGS)" -o $(BIN) ./cmd/reckon

example: build ## build the tour's application into an image and import it
	@go build -o bin/hello ./examples/hello
	bin/reckon image build --data $(DATA) --tag example.reckon.dev/hello:1 --env VERSION=1 bin/hello
	bin/reckon image build --data $(DATA) --tag example.reckon.dev/hello:2 --env VERSION=2 bin/hello

up: deps build ## start a one-node cluster on this machine (as root) and say how to use it
	bin/reckon up --data $(DATA) --detach
	@$(MAKE) --no-print-directory example

down: ## stop the cluster and remove its containers; PURGE=1 removes its data too
	bin/reckon down --data $(DATA) $(if $(PURGE),--purge)

test: deps-test ## run every test (as root)
	go vet ./...
	go test -timeout 30m $$(go list ./... | grep -v $(addprefix -e ,$(MACHINE)))
	go test -timeout 30m -p 1 $(addprefix ./,$(MACHINE))

race: deps-test ## run the tests of the core packages with the race detector
	CGO_ENABLED=1 go test -race -timeout 30m $(RACE)

lint: ## golangci-lint, with the import rules of the design
	go run $(LINT) run ./...

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

verify: deps-test ## what must hold before a change lands: format, vet, lint, tests, race
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run make fmt"; exit 1; }
	$(MAKE) --no-print-directory lint test race

bench-scheduler: ## run the workloads of Kubernetes' scheduler_perf, on a log on disk
	@go run ./test/bench scheduler

bench: build ## run the benchmarks: ratios against each part's own limit
	hack/bench

clean: ## remove what was built
	rm -rf bin
