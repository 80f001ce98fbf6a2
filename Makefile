# The commands of the project. Everything they need beyond make itself is installed by deploy/install.sh.
BUILD := build
SHELL := /bin/bash
export PATH := $(PATH):/usr/local/go/bin:$(HOME)/go/bin

.PHONY: build run test lint sanitize fuzz bench coverage clean

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

run: build
	@deploy/run.sh $(BUILD)

test: build $(BUILD)/python/ready $(BUILD)/tools/grpcurl $(BUILD)/clients/ready
	@ctest --test-dir $(BUILD) --output-on-failure -j2

lint: build
	@deploy/lint/lint.sh $(BUILD)
	@gateway/build.sh --lint

# The tests under AddressSanitizer with UndefinedBehaviorSanitizer, then those of the C code under ThreadSanitizer. Programs that are killed
# at random say nothing to a sanitizer, and rounds of that under it take long.
sanitize: $(BUILD)/packages $(BUILD)/python/ready $(BUILD)/tools/grpcurl $(BUILD)/clients/ready
	@cmake --preset asan >/dev/null && ninja -C $(BUILD)/asan
	@ctest --test-dir $(BUILD)/asan --output-on-failure -j2 -E '^fault\.(kill|prune)'
	@cmake --preset tsan >/dev/null && ninja -C $(BUILD)/tsan
	@TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp:halt_on_error=1 ctest --test-dir $(BUILD)/tsan --output-on-failure -L 'unit|fuzz'

# FUZZ_SECONDS for each fuzzer; new inputs that reach new code are added to a copy of the corpus, crashes are left in build/fuzz.
FUZZ_SECONDS ?= 60
fuzz: $(BUILD)/packages
	@CC=clang cmake --preset fuzz >/dev/null && ninja -C $(BUILD)/fuzz
	@deploy/fuzz.sh $(BUILD)/fuzz $(FUZZ_SECONDS)

bench: build $(BUILD)/python/ready
	@$(BUILD)/python/bin/python tests/bench/gateway.py --bin $(BUILD)/bin --gen $(BUILD)/python/gen
	@$(BUILD)/python/bin/python tests/bench/run.py --bin $(BUILD)/bin --gen $(BUILD)/python/gen

coverage: $(BUILD)/packages $(BUILD)/python/ready $(BUILD)/tools/grpcurl $(BUILD)/clients/ready
	@cmake --preset coverage >/dev/null && ninja -C $(BUILD)/coverage
	@ctest --test-dir $(BUILD)/coverage --output-on-failure -j2
	@$(BUILD)/python/bin/gcovr -r . --object-directory $(BUILD)/coverage -e tests -e '.*/gen/' --print-summary

clean:
	@rm -rf $(BUILD)

$(BUILD)/packages: deploy/install.sh
	@mkdir -p $(BUILD)
	@deploy/install.sh
	@touch $@

$(BUILD)/build.ninja: $(BUILD)/packages CMakeLists.txt CMakePresets.json
	@cmake --preset default >/dev/null

# What the integration tests need of Python: pytest and the API's messages as any Python client would generate them.
$(BUILD)/python/ready: $(BUILD)/packages tests/requirements.txt $(wildcard proto/mosaajii/backup/v1/*.proto)
	@python3 -m venv $(BUILD)/python
	@$(BUILD)/python/bin/pip install -q --disable-pip-version-check -r tests/requirements.txt
	@mkdir -p $(BUILD)/python/gen
	@$(BUILD)/python/bin/python -m grpc_tools.protoc -Iproto --python_out=$(BUILD)/python/gen --grpc_python_out=$(BUILD)/python/gen \
	  proto/mosaajii/backup/v1/*.proto
	@touch $@

$(BUILD)/tools/grpcurl: $(BUILD)/packages
	@mkdir -p $(@D)
	@GOBIN=$(CURDIR)/$(@D) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
	@touch $@

# Installable client packages for Python, Node and Go.
.PHONY: clients
clients: $(BUILD)/clients/ready
$(BUILD)/clients/ready: $(BUILD)/packages $(wildcard proto/mosaajii/backup/v1/*.proto) $(shell find client/build.sh client/python client/node client/go -type f)
	@client/build.sh $(BUILD)/clients
	@touch $@

# The REST gateway, in Go.
.PHONY: gateway
build: gateway
gateway: $(BUILD)/packages
	@gateway/build.sh $(abspath $(BUILD))/bin/mosaajii-gateway
