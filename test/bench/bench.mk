##@ Benchmark
# BENCH=quick: one minute at rest and fewer alerts.
BENCH ?= full

.PHONY: bench
bench: setup-cluster test-binaries ## Measure KubeBot in a local cluster of its own; bin/bench.json and a table
	@mkdir -p $(BIN)
	@go build -o $(BIN)/stack-bench ./test/bench/stack
	@nice $(BIN)/stack-bench $(if $(filter quick,$(BENCH)),-quick) -rca $(RCA_BENCH_OUT) -out $(BIN)/bench.json
