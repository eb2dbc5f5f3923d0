##@ Live faults
# LIVE: further options, such as -only='bad image,CPU hog' -quiet=0 -keep (see test/bench/live).
.PHONY: bench-live
bench-live: setup-cluster test-binaries ## Inject faults into the shop one by one; what KubeBot makes of each to bin/bench-live.json
	@go build -o $(BIN)/live-bench ./test/bench/live
	@nice $(BIN)/live-bench -out $(BIN)/bench-live.json $(LIVE)
