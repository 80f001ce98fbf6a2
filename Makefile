# The commands of the project. Everything they need beyond make itself is installed by deploy/install.sh.
BUILD := build
SHELL := /bin/bash
export PATH := $(PATH):/usr/local/go/bin:$(HOME)/go/bin

.PHONY: build run test test-full lint sanitize fuzz bench coverage package test-package clean

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

run: build
	@deploy/run.sh $(BUILD)

test: build $(BUILD)/python/ready $(BUILD)/tools/grpcurl $(BUILD)/tools/stores $(BUILD)/clients/ready
	@ctest --test-dir $(BUILD) --output-on-failure -j2

lint: build
	@deploy/lint/lint.sh $(BUILD)
	@gateway/build.sh --lint

# The tests under AddressSanitizer with UndefinedBehaviorSanitizer, then those of the C code under ThreadSanitizer. Programs that are killed
# at random say nothing to a sanitizer, and rounds of that under it take long; what tests pages, clients and the calendar runs no other C.
# The tests that have one, at full size: a thousand rewrapped backups, a hundred rounds of prune, a database of a gigabyte, twenty kills.
test-full: build $(BUILD)/python/ready $(BUILD)/tools/grpcurl $(BUILD)/tools/stores $(BUILD)/clients/ready
	@MOS_TEST_FULL=1 MOS_TEST_BIN=$(CURDIR)/$(BUILD)/bin MOS_TEST_GEN=$(CURDIR)/$(BUILD)/python/gen $(BUILD)/python/bin/python -m pytest -q -p no:cacheprovider \
		tests/integration/test_keys.py tests/integration/test_backup_restore.py tests/integration/test_tamper.py \
		tests/fault/test_hostile.py tests/fault/test_kill.py tests/fault/test_prune.py tests/fault/test_recovery_kill.py

sanitize: $(BUILD)/packages $(BUILD)/python/ready $(BUILD)/tools/grpcurl $(BUILD)/tools/stores $(BUILD)/clients/ready
	@cmake --preset asan >/dev/null && ninja -C $(BUILD)/asan
	@ctest --test-dir $(BUILD)/asan --output-on-failure -j2 -E '^fault\.(kill|offsite_kill|prune|recovery_kill)|^integration\.(browser|clients|dashboard|simulated_year)$$'
	@cmake --preset tsan >/dev/null && ninja -C $(BUILD)/tsan
	@TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp:halt_on_error=1 ctest --test-dir $(BUILD)/tsan --output-on-failure -L 'unit|fuzz'

# FUZZ_SECONDS for each fuzzer; new inputs that reach new code are added to a copy of the corpus, crashes are left in build/fuzz.
FUZZ_SECONDS ?= 60
fuzz: $(BUILD)/packages
	@CC=clang cmake --preset fuzz >/dev/null && ninja -C $(BUILD)/fuzz
	@deploy/fuzz.sh $(BUILD)/fuzz $(FUZZ_SECONDS)

bench: build $(BUILD)/python/ready $(BUILD)/clients/ready
	@cd tests/bench/load && go build -o $(abspath $(BUILD))/tools/load .
	@MOS_TEST_BIN=$(BUILD)/bin MOS_TEST_GEN=$(BUILD)/python/gen $(BUILD)/python/bin/python tests/bench/catalog.py
	@$(BUILD)/python/bin/python tests/bench/gateway.py --bin $(BUILD)/bin --gen $(BUILD)/python/gen
	@$(BUILD)/python/bin/python tests/bench/run.py --bin $(BUILD)/bin --gen $(BUILD)/python/gen --load $(BUILD)/tools/load
	@$(MAKE) -s $(BUILD)/tools/stores
	@PYTHONPATH=tests $(BUILD)/python/bin/python tests/bench/stores.py
	@$(MAKE) --no-print-directory bench-peers

# Beside restic, borg, kopia and a pipe. PEERS="--quick --rounds 1" for a quick look; the table goes to docs/benchmarks.md.
PEERS ?= --markdown docs/benchmarks.md
.PHONY: bench-peers
bench-peers: $(BUILD)/build.ninja $(BUILD)/python/ready
	@ninja -C $(BUILD) mosaajii-engine
	@tests/bench/peers.sh $(BUILD)/peers
	@$(BUILD)/python/bin/python tests/bench/peers.py --bin $(BUILD)/bin --peers $(BUILD)/peers --folder $(BUILD)/bench $(PEERS)

coverage: $(BUILD)/packages $(BUILD)/python/ready $(BUILD)/tools/grpcurl $(BUILD)/tools/stores $(BUILD)/clients/ready
	@cmake --preset coverage >/dev/null && ninja -C $(BUILD)/coverage
	@ctest --test-dir $(BUILD)/coverage --output-on-failure -j2
	@$(BUILD)/python/bin/gcovr -r . --object-directory $(BUILD)/coverage -e tests -e '.*/gen/' --print-summary

# The Debian package: build/mosaajii-backup_VERSION_ARCH.deb
package: build
	@ninja -C $(BUILD) package-files
	@cd $(BUILD) && cpack -G DEB >cpack.log 2>&1 || { cat cpack.log; exit 1; }
	@ls $(BUILD)/mosaajii-backup_*.deb

# The package on a clean root made by debootstrap, as root.
test-package: package $(BUILD)/python/ready
	@$(BUILD)/python/bin/python -m pytest -q -p no:cacheprovider tests/package

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

# Servers that the drivers of offsite stores are tested against. openssh-server comes from Debian.
$(BUILD)/tools/stores: $(BUILD)/packages tests/stores/package.json
	@mkdir -p $(BUILD)/tools/azurite
	@GOBIN=$(CURDIR)/$(BUILD)/tools go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
	@GOBIN=$(CURDIR)/$(BUILD)/tools go install github.com/fsouza/fake-gcs-server@v1.56.1
	@cp tests/stores/package.json $(BUILD)/tools/azurite/
	@cd $(BUILD)/tools/azurite && npm install --silent --no-audit --no-fund --no-package-lock
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
