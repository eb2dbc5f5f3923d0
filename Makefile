# KubeBot. `make demo` shows the main job on a real local cluster; `make test` runs every test. `make help` lists all.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= v0.1.0
IMG ?= ghcr.io/kubebot/kubebot:$(VERSION)
export KUBEBOT_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kubebot
export PATH := $(KUBEBOT_CACHE)/bin:$(PATH)
# One way to compile for all but the race detector, so that each package is compiled once, and for every clone.
export CGO_ENABLED ?= 0
export GOFLAGS ?= -trimpath
BIN := $(CURDIR)/bin
LDFLAGS := -s -w -X github.com/kubebot/kubebot/internal/cmd.Version=$(VERSION)
KUBE_VERSION := 1.36.3
OPERATOR_API := github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring
MODULES := . test/cluster test/shop test/bench/noise

.PHONY: help
help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Set-up
.PHONY: setup-tools setup-cluster
setup-tools: ## Build the real programs of the tests that need no root: checkers, API server, etcd, operators, helm, linters
	@test/components/apt
	@test/components/build controller-gen helm golangci-lint kubernetes etcd \
	  prometheus alertmanager prometheus-operator node-exporter collector loki jaeger opentelemetry-operator >/dev/null

setup-cluster: ## Build all that the local cluster runs, and helm
	@test/components/apt
	@test/components/build cluster stack helm >/dev/null

##@ Build
.PHONY: build image test-binaries
build: ## Build bin/kubebot
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/kubebot .

test-binaries: build ## Build the shop and the test servers into bin/
	go -C test/shop build -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN)/shop .
	go build -ldflags '-s -w' -o $(BIN)/slack-server ./test/slack/cmd/slack-server

image: build ## Write KubeBot's image to bin/kubebot-image.tar, without Docker
	@test/components/build kubebot-cluster >/dev/null
	kubebot-cluster image build --ref $(IMG) --binary $(BIN)/kubebot --entrypoint /kubebot --user 65534 -o $(BIN)/kubebot-image.tar

##@ Generated files
.PHONY: manifests generate verify
generate: ## Write the deep-copy functions
	controller-gen object paths=./api/...

manifests: ## Write CRDs, the chart's copies of them and config/
	controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	@go mod download $(OPERATOR_API)
	@dir=$$(go list -m -f '{{.Dir}}' $(OPERATOR_API)); \
	  out=$(CURDIR)/config/crd/prometheus-operator; rm -f $$out/monitoring*.yaml; \
	  cd $$dir && controller-gen crd:maxDescLen=0 paths=./v1/... paths=./v1alpha1/... output:crd:dir=$$out; \
	  rm $$out/*prometheusagents.yaml $$out/*thanosrulers.yaml
	@rm -rf charts/kubebot/files/crds; mkdir -p charts/kubebot/files/crds
	@cp -r config/crd/bases charts/kubebot/files/crds/kubebot; cp -r config/crd/prometheus-operator charts/kubebot/files/crds/
	@for part in rbac manager; do mkdir -p config/$$part; done
	@render() { helm template kubebot charts/kubebot -n kubebot --kube-version $(KUBE_VERSION) --no-hooks "$$@" | sed '/^# Source:/d'; }; \
	  render -s templates/namespace-nodes.yaml -s templates/manager-rbac.yaml -s templates/components-rbac.yaml > config/rbac/rbac.yaml; \
	  render -s templates/manager.yaml -s templates/prometheus-operator.yaml > config/manager/manager.yaml

verify: ## Fail if a generated file or the formatting is not in step
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "run gofmt -w on: $$(gofmt -l $$(git ls-files '*.go'))"; exit 1; }
	@before=$$(git status --porcelain | sha256sum; git diff | sha256sum); $(MAKE) -s generate manifests; \
	  after=$$(git status --porcelain | sha256sum; git diff | sha256sum); \
	  [ "$$before" = "$$after" ] || { echo "generated files were not in step: run make generate manifests and commit"; git status --short; exit 1; }

##@ Checks
.PHONY: vet lint chart-test
vet: ## go vet of every module
	@for m in $(MODULES); do go -C $$m vet ./...; done

lint: ## golangci-lint
	golangci-lint run ./...

chart-test: ## helm lint and template, with several values
	helm lint --strict charts/kubebot
	@for values in charts/kubebot/ci/*.yaml; do helm template kubebot charts/kubebot -n kubebot --kube-version $(KUBE_VERSION) -f $$values >/dev/null && echo "$$values: ok"; done

.PHONY: test test-unit test-e2e
test: ## Set up what is needed and run every test
	@test/run all

test-unit: setup-tools ## Unit, golden and API tests
	@test/run unit

test-e2e: ## End-to-end tests in a local cluster (or CLUSTER=existing KUBECONFIG=...)
	@test/run e2e

FUZZTIME ?= 1m
.PHONY: fuzz
fuzz: setup-tools ## Fuzz every parser of outside input, each for FUZZTIME (1m); FUZZ=Regexp takes some of them
	@test/fuzz $(FUZZTIME) '$(FUZZ)'

##@ See it work
.PHONY: demo demo-down
demo: ## Set everything up and show the main job on a real local cluster
	@test/demo/run

demo-down: ## Remove every trace of the demo
	@test/demo/down

-include test/bench/*.mk test/chaos/*.mk
