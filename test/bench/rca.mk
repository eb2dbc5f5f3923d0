##@ Root-cause benchmark
RCA_DATA ?= ../shared/rca
RCA_OUT ?= rca_predictions.jsonl
RCA_BENCH_OUT ?= rca_bench.json

.PHONY: bench-rca train bench-rca-speed
bench-rca: ## Rank the causes of the incidents in RCA_DATA and write them to RCA_OUT
	@mkdir -p $(BIN)
	@go build -o $(BIN)/rca-bench ./test/bench/rca
	@$(BIN)/rca-bench predict -data $(RCA_DATA) -out $(RCA_OUT)

train: ## Fit the root-cause weights to RCA_DATA and report left-out figures
	@mkdir -p $(BIN)
	@go build -o $(BIN)/rca-bench ./test/bench/rca
	@$(BIN)/rca-bench train -data $(RCA_DATA) -weights internal/rca/weights/weights.json

bench-rca-speed: ## Measure the root-cause engine on 10 k, 100 k and 1 M spans; JSON to RCA_BENCH_OUT
	@mkdir -p $(BIN)
	@go build -o $(BIN)/rca-bench ./test/bench/rca
	@$(BIN)/rca-bench speed -out $(RCA_BENCH_OUT)
