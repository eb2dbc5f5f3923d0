##@ Benchmark of noise
# BENCH=quick: two days instead of seven, and a storm of 2,000 alerts instead of 10,000.
.PHONY: bench bench-noise
bench: bench-noise

bench-noise: setup-tools ## A simulated week and a storm of 10,000 alerts; bin/bench-noise.json, bin/bench-storm.json and tables
	@mkdir -p $(BIN)
	@go -C test/bench/noise test -c -o $(BIN)/noise-bench .
	@go test -c -o $(BIN)/storm-bench ./internal/cmd/responder
	@nice $(BIN)/noise-bench -test.timeout 2h -test.run '^TestNothingCriticalThatMatteredIsMissed$$' -out $(BIN)/bench-noise.json $(if $(filter quick,$(BENCH)),-days 2)
	@nice $(BIN)/storm-bench -test.timeout 2h -test.run '^TestStormIsFewMessagesAndNothingIsLost$$' -storm-out $(BIN)/bench-storm.json -storm $(if $(filter quick,$(BENCH)),2000,10000)
	@cat $(BIN)/bench-storm.json
