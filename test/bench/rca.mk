##@ Root-cause benchmark
RCA_DATA ?= ../shared/rca
RCA_OUT ?= $(BIN)/rca_predictions.jsonl
RCA_BENCH_OUT ?= $(BIN)/rca_bench.json
RCA_TRAIN_OUT ?= $(BIN)/rca_train.json
# LIVE_DATA: what `make bench-live LIVE=-save=FOLDER` saved; LIVE_TRUTH: its figures, which name the faults.
LIVE_DATA ?=
LIVE_TRUTH ?= $(BIN)/bench-live.json

.PHONY: bench bench-rca bench-rca-speed train rca-bench
bench: bench-rca-speed

rca-bench:
	@mkdir -p $(BIN)
	@go build -o $(BIN)/rca-bench ./test/bench/rca

bench-rca: rca-bench ## Rank the causes of the incidents in RCA_DATA and write them to RCA_OUT
	@$(BIN)/rca-bench predict -data $(RCA_DATA) -out $(RCA_OUT)

bench-rca-speed: rca-bench ## Measure the root-cause engine on 10 k, 100 k and 1 M spans; JSON to RCA_BENCH_OUT
	@$(BIN)/rca-bench speed -out $(RCA_BENCH_OUT)

train: rca-bench ## Fit the root-cause weights to RCA_DATA (and LIVE_DATA); left-out figures, as JSON to RCA_TRAIN_OUT
	@$(BIN)/rca-bench train -data $(RCA_DATA) -weights internal/rca/weights/weights.json -report $(RCA_TRAIN_OUT) \
	  $(if $(LIVE_DATA),-live $(LIVE_DATA) -truth $(LIVE_TRUTH))
