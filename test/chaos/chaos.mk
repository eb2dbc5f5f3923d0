##@ Chaos
.PHONY: chaos
chaos: setup-cluster test-binaries ## Kill responders under 10,000 alerts and failing receivers; bin/chaos.json
	@go build -o $(BIN)/chaos ./test/chaos/cmd/chaos
	@$(BIN)/chaos -out $(BIN)/chaos.json
