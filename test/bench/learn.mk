##@ Benchmark of the learning
.PHONY: bench bench-learn tune-learn
bench: bench-learn

bench-learn: ## Simulate teams that judge incidents; regret against plain rules; bin/bench-learn.json and a table
	@mkdir -p $(BIN)
	@go build -o $(BIN)/learn-bench ./test/bench/learn
	@nice $(BIN)/learn-bench -out $(BIN)/bench-learn.json

tune-learn: ## Compare other settings of the learning with the defaults, on seeds that bench-learn does not use
	@mkdir -p $(BIN)
	@go build -o $(BIN)/learn-bench ./test/bench/learn
	@nice $(BIN)/learn-bench -tune
