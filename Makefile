# Everything installs itself: Python 3.11 or newer and make are all that is assumed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/edgeticket
# Where data sets lie, unless the environment says so: data/ (see `make data`), and a folder shared with other
# checkouts.
SHARED := $(abspath ../shared/data)
export EDGETICKET_DATA ?= $(CURDIR)/data:$(SHARED)
export ORT_DISABLE_TELEMETRY = 1

.PHONY: help install install-dev demo test test-oldest engine engine-aarch64 engine-armv7 test-arm test-arm-aarch64 \
	test-arm-armv7 lint bench-find bench-masks bench-engine bench-baseline bench-rival bench-never-slower \
	bench-export bench-evidence data results evidence performance models lock clean

help:
	@echo "make demo        install, then find, export and check a ticket on embedded data"
	@echo "make test        install what the tests need and run them all"
	@echo "make test-oldest  export and check on the oldest versions allowed"
	@echo "make engine      build the sparse engine again, into edgeticket/; engine-aarch64 and engine-armv7 into build/"
	@echo "make test-arm    the kernels' tests for aarch64 and armv7, emulated: right results, no word on speed"
	@echo "make lint        ruff, mypy --strict and clang-format"
	@echo "make bench-find  an iteration of find beside a bare loop"
	@echo "make bench-masks ways of keeping pruned weights at 0"
	@echo "make bench-engine  the sparse engine beside ONNX Runtime fp32 and int8 (ARGS=--quick: minutes)"
	@echo "make bench-baseline  the dense networks of reports beside what PyTorch's exporters write (ARGS=--quick)"
	@echo "make bench-rival  what the fp32 rival's figure at one thread depends on"
	@echo "make bench-never-slower  no network is slower for having the engine (ARGS=--help: parts of it)"
	@echo "make bench-export  how long an export takes of models with 5,000 nodes, step by step"
	@echo "make bench-evidence  error rates of check --baseline, resumable (hours; PARTS='--minutes 30')"
	@echo "make evidence    docs/evidence.md from what was measured"
	@echo "make performance docs/performance.md and its tables from what was measured"
	@echo "make models      docs/models.md: what is read, proved, packed and cut, tried out"
	@echo "make data        CIFAR-10: unpacked into data/ from the shared archive, or downloaded"
	@echo "make results     the runs behind docs/results.md (hours), then the document"
	@echo "make lock        pin the newest versions that work"

# The engine is built when the package is installed, and so again when its sources change.
ENGINE := $(shell find export/src export/cmake export/CMakeLists.txt export/ep.map -type f)
$(VENV)/find: pyproject.toml requirements.lock $(ENGINE)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[find]'
	touch $@

$(VENV)/dev: $(VENV)/find
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	touch $@

install: $(VENV)/find

install-dev: $(VENV)/dev

demo: install
	$(RUN) find lenet-digits --out runs/demo
	$(RUN) export runs/demo
	$(RUN) check runs/demo
	@echo "The report is $(CURDIR)/runs/demo/artifact/report.html"

test: install-dev
	if test -f $(SHARED)/unpack_cifar10.py && ! test -d data/cifar-10-batches-bin; then $(MAKE) data; fi
	$(BIN)/python -m pytest -n 2 --dist loadscope --timeout 1800

# The lower bounds of pyproject.toml, where a newer version could hide that an older one lacks something.
OLDEST := onnxruntime==1.24.3 onnx==1.21.0 onnx-ir==0.1.13 msgspec==0.19.0 safetensors==0.5.0 click==8.1.0 rich==13.7.0
test-oldest:
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check $(OLDEST) -e '.[export]' pytest hypothesis
	.venv-oldest/bin/python -m pytest -q tests/graph tests/artifact tests/test_api_export.py tests/engine \
		--ignore tests/engine/test_packaging.py --ignore tests/engine/test_native.py \
		--ignore tests/engine/test_onnx_backend.py --ignore tests/engine/test_growth.py \
		--ignore tests/graph/test_torch_traces.py -p no:cacheprovider

# The plugin for ONNX Runtime needs CMake and a C++ compiler alone. Where the machine lacks one, its wheel is installed
# into an environment of its own: the ziglang wheel holds a compiler for every target.
TOOLS ?= build/tools
CMAKE ?= $(shell command -v cmake || echo $(TOOLS)/bin/cmake)
CMAKE_WHEEL := $(if $(filter $(TOOLS)/bin/cmake,$(CMAKE)),$(TOOLS)/with-cmake)
ZIG_WHEEL := $(TOOLS)/with-ziglang
COMPILER := $(shell command -v $${CXX:-c++} || command -v g++ || command -v clang++)
AARCH64_COMPILER := $(shell command -v aarch64-linux-gnu-g++)
ARMV7_COMPILER := $(shell command -v arm-linux-gnueabihf-g++)
$(TOOLS)/bin/python:
	$(PYTHON) -m venv $(TOOLS)

$(TOOLS)/with-%: | $(TOOLS)/bin/python
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check $*
	touch $@

# A running process keeps the file it has loaded: the new one takes its name at once.
engine: $(CMAKE_WHEEL) $(if $(COMPILER),,$(ZIG_WHEEL))
	$(CMAKE) -S export -B build/engine -DCMAKE_BUILD_TYPE=Release -DEDGETICKET_WERROR=ON \
		$(if $(COMPILER),,-DEDGETICKET_PYTHON_FOR_ZIG=$(abspath $(TOOLS)/bin/python))
	$(CMAKE) --build build/engine
	cp build/engine/libedgeticket_ep.so edgeticket/libedgeticket_ep.so.new
	mv edgeticket/libedgeticket_ep.so.new edgeticket/libedgeticket_ep.so

# Debian's cross compiler where it is installed, else zig's.
engine-aarch64: $(if $(AARCH64_COMPILER),,$(ZIG_WHEEL))
engine-armv7: $(if $(ARMV7_COMPILER),,$(ZIG_WHEEL))
engine-aarch64 engine-armv7: engine-%: $(CMAKE_WHEEL)
	$(CMAKE) -S export -B build/$* -DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE=toolchains/$*.cmake \
		-DEDGETICKET_PYTHON_FOR_ZIG=$(abspath $(TOOLS)/bin/python)
	$(CMAKE) --build build/$*
	@echo "The library is build/$*/libedgeticket_ep.so"

# Emulated, these tests say that results are right on Arm, nothing about speed. The ziglang wheel links them statically
# with musl, so that they need qemu-user and no Arm libraries; small counts, for qemu takes ten times as long.
ARM_TESTS := region_tests row_region_tests fc_tests map_kernel_tests import_tests
test-arm: test-arm-aarch64 test-arm-armv7
test-arm-aarch64: QEMU := qemu-aarch64
test-arm-aarch64: TARGET := aarch64-linux-musl
test-arm-armv7: QEMU := qemu-arm
test-arm-armv7: TARGET := arm-linux-musleabihf
test-arm-aarch64 test-arm-armv7: test-arm-%: $(CMAKE_WHEEL) $(ZIG_WHEEL)
	@command -v $(QEMU) || \
		{ echo "$(QEMU) is missing: it comes with Debian's qemu-user (apt-get install qemu-user)"; exit 1; }
	$(CMAKE) -S export -B build/test-$* -DCMAKE_BUILD_TYPE=Release -DEDGETICKET_BUILD_TESTS=ON -DEDGETICKET_CROSS= \
		-DCMAKE_TOOLCHAIN_FILE=toolchains/$*.cmake -DEDGETICKET_ZIG_TARGET=$(TARGET) \
		-DEDGETICKET_PYTHON_FOR_ZIG=$(abspath $(TOOLS)/bin/python)
	$(CMAKE) --build build/test-$* --target $(ARM_TESTS)
	for test in $(ARM_TESTS); do echo "$* $$test:"; $(QEMU) build/test-$*/$$test 10 || exit 1; done

CPP := $(shell find export -name "*.h" -o -name "*.cpp" -o -name "*.c")
lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(CPP)
	$(BIN)/mypy

bench-find: install-dev
	$(BIN)/python benchmarks/bench_find.py

bench-masks: install-dev
	$(BIN)/python benchmarks/bench_masks.py

bench-engine: install-dev
	$(BIN)/python benchmarks/bench_engine.py $(ARGS)

bench-baseline: install-dev
	$(BIN)/python benchmarks/bench_baseline.py $(ARGS)

bench-rival: install-dev
	$(BIN)/python benchmarks/bench_rival.py $(ARGS)

bench-never-slower: install-dev
	$(BIN)/python benchmarks/bench_never_slower.py $(ARGS)

bench-export: install-dev
	$(BIN)/python benchmarks/bench_export.py $(ARGS)

bench-evidence: install-dev
	$(BIN)/python benchmarks/bench_evidence.py $(PARTS)
	$(BIN)/python benchmarks/make_evidence.py

evidence: install-dev
	$(BIN)/python benchmarks/make_evidence.py

performance: install-dev
	$(BIN)/python benchmarks/make_performance.py

models: install-dev
	$(BIN)/python benchmarks/make_models.py

data: install
	if test -f $(SHARED)/unpack_cifar10.py; then $(BIN)/python $(SHARED)/unpack_cifar10.py data; \
	else $(BIN)/python -c "from edgeticket.lottery.data import cifar10; cifar10([])"; fi

results: install-dev
	$(BIN)/python benchmarks/make_results.py --run

lock:
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet torch==2.13.0
	.lock-venv/bin/python -m pip install --quiet --upgrade '.[dev]' torch==2.13.0
	(echo "# Tested versions; written by 'make lock'."; \
	 .lock-venv/bin/python -m pip freeze --exclude edgeticket | sed 's/+cpu$$//') > requirements.lock
	rm -rf .lock-venv

clean:
	rm -rf $(VENV) .lock-venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
