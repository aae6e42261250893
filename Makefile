# hartq: every action of the project. `make help` lists them.
#
# Programs are ELF files in build/, one per folder or file named below. Objects have the paths of
# their sources below build/. Variables for the user:
#   CROSS=riscv64-unknown-elf-   QEMU=qemu-system-riscv64   PYTHON=python3   HOST_CCS="gcc clang"
#   PEERS=--quick (bench-peers: options of scripts/peers.py)   DEBIAN_SUITE=trixie (its Linux)
#   APP=hello (run, debug)       OPTIMIZE=-O2   V=1 (show the commands)   SECONDS=60 (sim, fuzz)
#   BOARD=virt (a folder of platform/; make clean first)   HOURS=1 (soak)   SHORT=1 (scorecard)
#   PREFIX=/usr/local   DESTDIR=   LIBRARY_MACHINE="-march=... -mabi=..." (install, dist)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

CROSS ?= riscv64-unknown-elf-
TARGET_CC := $(CROSS)gcc
TARGET_AR := $(CROSS)ar
OPTIMIZE ?= -O2
BOARD ?= virt
BOARD_FOLDER := platform/$(BOARD)
HOST_CCS ?= gcc clang
APP ?= hello
SECONDS ?= 60
HOURS ?= 1
export QEMU
# A short line per file instead of the command, unless V=1.
quiet = $(if $(V),,@echo "  $(1) $@";)

# An interpreter that has the plotting modules, the system's first; without one, python3. Recipes
# expand it, so after `make setup`.
FIND_PYTHON = for p in /usr/bin/python3 python3; do $$p -c 'import importlib.util as u, sys; \
    sys.exit(None in map(u.find_spec, ("jinja2", "matplotlib", "numpy", "tqdm")))' 2>/dev/null && \
    echo $$p && exit; done; echo python3
PYTHON ?= $(shell $(FIND_PYTHON))

# ---- the target -----------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wpedantic -Werror -Wconversion -Wshadow -Wundef -Wvla \
    -Wmissing-prototypes -Wstrict-prototypes
TARGET_MACHINE := -mabi=lp64 -mcmodel=medany
PICOLIBC := --specs=picolibc.specs
TARGET_CFLAGS := -std=c17 $(OPTIMIZE) -g -march=rv64imac_zicsr_zifencei $(TARGET_MACHINE) \
    -ffunction-sections -fdata-sections $(WARNINGS)
# The multilib of picolibc is found under the name without the newer extensions.
TARGET_LDFLAGS := -march=rv64imac $(TARGET_MACHINE) $(PICOLIBC) -nostartfiles \
    -T $(BOARD_FOLDER)/link.ld -Wl,--gc-sections

# Include paths enforce the layering: a file cannot include what its layer may not use.
ENGINE_FLAGS := -ffreestanding -Iengine -Iplatform/riscv64
RISCV64_FLAGS := $(PICOLIBC) -Iplatform/riscv64
PCI_FLAGS := -ffreestanding -Ipci
BOARD_FLAGS := $(PICOLIBC) -Ipci -Iplatform/riscv64 -I$(BOARD_FOLDER)
PROGRAM_FLAGS := $(PICOLIBC) -Iengine -Ipci -Iruntime -Iplatform/riscv64 -I$(BOARD_FOLDER)
TEST_FLAGS := $(PROGRAM_FLAGS) -Iexamples

ENGINE_SOURCES := $(wildcard engine/*.c)
SHARED_SOURCES := $(wildcard platform/riscv64/*.c platform/riscv64/*.S $(BOARD_FOLDER)/*.c \
    $(BOARD_FOLDER)/*.S pci/*.c runtime/*.c)

# NAME_SOURCES makes build/NAME.elf; a program without sources is not built. An example is a program
# of examples/NAME.c and any examples/NAME_*.c.
EXAMPLES := $(foreach p,$(basename $(notdir $(wildcard examples/*.c))),\
    $(if $(findstring _,$(p)),,$(p)))
$(foreach p,$(EXAMPLES),$(eval $(p)_SOURCES := $(wildcard examples/$(p).c examples/$(p)_*.c)))
# The blocking block device: no program, and what one includes.
BLOCK_DEVICE := $(wildcard examples/block_device*.c)
fat_SOURCES += $(BLOCK_DEVICE)
bench_SOURCES := $(wildcard bench/*.c)
selftest_SOURCES := $(wildcard tests/qemu/selftest/*.c) $(BLOCK_DEVICE)
boot_SOURCES := $(wildcard tests/qemu/boot/*.c)
instructions_SOURCES := $(wildcard tests/qemu/instructions/*.c)
PROGRAMS := $(foreach p,$(EXAMPLES) bench selftest boot instructions,$(if $($(p)_SOURCES),$(p)))

ifeq ($(wildcard $(BOARD_FOLDER)/link.ld),)
$(error BOARD=$(BOARD) is no board; there is: $(patsubst platform/%/link.ld,%,\
    $(wildcard platform/*/link.ld)))
endif
ifneq ($(filter run debug,$(MAKECMDGOALS)),)
ifeq ($(filter $(APP),$(PROGRAMS)),)
$(error APP=$(APP) is no program; there are: $(PROGRAMS))
endif
endif

# For other kernels to copy; no program of ours has such a machine.
MSI_AGGREGATOR := examples/msi_aggregator.c
TARGET_SOURCES := $(ENGINE_SOURCES) $(SHARED_SOURCES) $(MSI_AGGREGATOR) \
    $(foreach p,$(PROGRAMS),$($(p)_SOURCES))
objects = $(patsubst %,build/%.o,$(basename $(1)))

# $(1) a folder of objects
define layers
$(1)/engine/%.o: LAYER_FLAGS = $(ENGINE_FLAGS)
$(1)/pci/%.o: LAYER_FLAGS = $(PCI_FLAGS)
$(1)/platform/riscv64/%.o: LAYER_FLAGS = $(RISCV64_FLAGS)
$(1)/$(BOARD_FOLDER)/%.o: LAYER_FLAGS = $(BOARD_FLAGS)
$(foreach d,runtime examples bench,$(1)/$(d)/%.o): LAYER_FLAGS = $(PROGRAM_FLAGS)
$(1)/tests/qemu/%.o: LAYER_FLAGS = $(TEST_FLAGS)
endef
$(foreach f,build build/clang build/dma build/paged,$(eval $(call layers,$(f))))

build/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC ) $(TARGET_CC) $(TARGET_CFLAGS) $(LAYER_FLAGS) -MMD -MP -c -o $@ $<

build/%.o: %.S Makefile
	@mkdir -p $(@D)
	$(call quiet,CC ) $(TARGET_CC) $(TARGET_CFLAGS) $(LAYER_FLAGS) -MMD -MP -c -o $@ $<

build/libnvme.a: $(call objects,$(ENGINE_SOURCES))
	@rm -f $@
	$(call quiet,AR ) $(TARGET_AR) rcs $@ $^

define program
build/$(1).elf: $$(call objects,$$($(1)_SOURCES) $$(SHARED_SOURCES)) build/libnvme.a \
    $(BOARD_FOLDER)/link.ld
	$$(call quiet,LD ) $$(TARGET_CC) $$(TARGET_LDFLAGS) -Wl,-Map=build/$(1).map -o $$@ \
	    $$(filter %.o,$$^) build/libnvme.a
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# The same programs in other forms, build/FORM/NAME.elf: each has its own port, and one file of
# platform/riscv64 that knows the form.
#   dma    for a board whose DMA is not coherent, moves addresses, or is guarded by an IOMMU
#   paged  with translation on, and memory that is contiguous by pages only
# $(1) the form, $(2) its flag, $(3) its file
define form
build/$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	$$(call quiet,CC ) $$(TARGET_CC) $$(TARGET_CFLAGS) -D$(2) $$(LAYER_FLAGS) -MMD -MP -c -o $$@ $$<

build/$(1)/libnvme.a: $$(ENGINE_SOURCES:%.c=build/$(1)/%.o)
	@rm -f $$@
	$$(call quiet,AR ) $$(TARGET_AR) rcs $$@ $$^

$(foreach p,$(PROGRAMS),$(eval $(call form_program,$(1),$(p),$(3))))
endef

# $(1) the form, $(2) the program, $(3) the form's file
define form_program
build/$(1)/$(2).elf: $$(call objects,$$($(2)_SOURCES) $$(filter-out %/$(3).c,$$(SHARED_SOURCES))) \
    build/$(1)/platform/riscv64/$(3).o build/$(1)/libnvme.a $(BOARD_FOLDER)/link.ld
	$$(call quiet,LD ) $$(TARGET_CC) $$(TARGET_LDFLAGS) -o $$@ $$(filter %.o,$$^) \
	    build/$(1)/libnvme.a
endef
$(eval $(call form,dma,HARTQ_ANY_DMA,dma))
$(eval $(call form,paged,HARTQ_PAGING,paging))

# The loop that Linux runs beside fio in `make bench-peers`. The host's is for its test.
LINUX_CC ?= riscv64-linux-gnu-gcc
LOOP_SOURCES := $(wildcard scripts/linux/loop/*.[ch]) bench/histogram.c bench/histogram.h
LOOP_CFLAGS := -std=gnu17 -O2 -g $(WARNINGS) -Ibench

build/uring-loop: $(LOOP_SOURCES) Makefile
	@mkdir -p $(@D)
	$(call quiet,LD ) $(LINUX_CC) $(LOOP_CFLAGS) -static -Iplatform/riscv64 -o $@ \
	    $(filter %.c,$^)

build/host/uring-loop: $(LOOP_SOURCES) $(wildcard tests/linux/*.h) Makefile
	@mkdir -p $(@D)
	$(call quiet,LD ) gcc $(LOOP_CFLAGS) $(SANITIZE) -Itests/linux -o $@ $(filter %.c,$^)

# ---- the host's unit tests --------------------------------------------------------------------

UNIT_SOURCES := $(wildcard tests/unit/*/test_*.c)
UNIT_TESTS := $(notdir $(basename $(UNIT_SOURCES)))
HOST_SOURCES := $(ENGINE_SOURCES) $(wildcard platform/riscv64/fdt*.c platform/virt/machine*.c \
    runtime/options*.c runtime/json.c runtime/page_*.c runtime/namespace_view.c \
    runtime/storage_report.c \
    bench/job*.c bench/pacing*.c bench/timeline.c bench/histogram.c bench/crc32c.c bench/stamp.c \
    pci/*.c tests/model/*.c tests/board/*.c) $(BLOCK_DEVICE) examples/fat_volume.c \
    $(MSI_AGGREGATOR) \
    $(wildcard platform/virt/iommu*.c) \
    $(addprefix platform/virt/,aplic.c pci.c pci_slot.c plic.c wired.c)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
# tests/model comes first: its nvme_port.h stands in for the target's.
HOST_CFLAGS := -std=c17 -g $(WARNINGS) -fno-omit-frame-pointer -Itests/model -Iengine -Ipci \
    -Iruntime -Iplatform/riscv64 -Iplatform/virt -Ibench -Itests/board -Iexamples

# $(1) a folder below build/host/, $(2) the compiler, $(3) its flags
# tests/board stands in for the headers of platform/riscv64 that are of one machine only.
define host_build
build/host/$(1)/platform/virt/%.o: HOST_BOARD = -Itests/board
build/host/$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	$$(call quiet,CC ) $(2) $$(HOST_BOARD) $$(HOST_CFLAGS) $(3) -MMD -MP -c -o $$@ $$<
build/host/$(1)/libhost.a: $$(patsubst %.c,build/host/$(1)/%.o,$$(HOST_SOURCES))
	@rm -f $$@
	$$(call quiet,AR ) ar rcs $$@ $$^
$$(foreach s,$$(basename $$(UNIT_SOURCES)),$$(eval \
    build/host/$(1)/$$(notdir $$(s)): build/host/$(1)/$$(s).o))
$$(addprefix build/host/$(1)/,$$(UNIT_TESTS)): build/host/$(1)/libhost.a
	$$(call quiet,LD ) $(2) $(3) -o $$@ $$(filter %.o,$$^) build/host/$(1)/libhost.a -lcmocka \
	    -lfdt -lpthread
.SECONDARY: $$(UNIT_SOURCES:%.c=build/host/$(1)/%.o)
HOST_TESTS_$(1) := $$(addprefix build/host/$(1)/,$$(UNIT_TESTS))
endef
$(foreach cc,$(HOST_CCS),$(eval $(call host_build,$(cc),$(cc),-O1 $(SANITIZE))))
$(eval $(call host_build,coverage,gcc,-O0 --coverage))
# For tests/mutate: without what differs between builds of the same code.
$(eval $(call host_build,mutant,gcc,-O2 -g0))
$(eval $(call host_build,sim,$(firstword $(HOST_CCS)),-O2 $(SANITIZE)))
HOST_TESTS := $(foreach cc,$(HOST_CCS),$(HOST_TESTS_$(cc)))

# A caller of the block device in Rust, without its standard library, on the model.
build/host/rust-block: tests/rust/block.rs tests/rust/main.c \
    build/host/$(firstword $(HOST_CCS))/libhost.a Makefile
	$(call quiet,LD ) MAKEFLAGS= rustc --edition 2021 --crate-type staticlib -O -C panic=abort \
	    -o build/host/libblock.a $<
	@$(firstword $(HOST_CCS)) $(HOST_CFLAGS) -O1 $(SANITIZE) -o $@ tests/rust/main.c \
	    build/host/libblock.a build/host/$(firstword $(HOST_CCS))/libhost.a -lcmocka -lfdt -lpthread

# The simulation.
build/sim: $(patsubst %.c,build/host/sim/%.o,$(wildcard tests/sim/*.c)) build/host/sim/libhost.a
	$(call quiet,LD ) $(firstword $(HOST_CCS)) $(SANITIZE) -o $@ $^

# libFuzzer's targets. Only clang has it.
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
$(eval $(call host_build,fuzz,clang,-O1 $(SANITIZE) -fsanitize=fuzzer-no-link))
$(FUZZ_TARGETS:%=build/%): build/%: build/host/fuzz/tests/fuzz/%.o \
    build/host/fuzz/tests/fuzz/hostile.o build/host/fuzz/libhost.a
	$(call quiet,LD ) clang $(SANITIZE) -fsanitize=fuzzer -o $@ $^

# Harts as threads, with their own port. The sanitizer does not see GCC's inline memcpy, nor the
# fortified one of Ubuntu.
THREADS_CFLAGS := -std=c17 -g -O1 $(WARNINGS) -fsanitize=thread -fno-builtin -U_FORTIFY_SOURCE \
    -Itests/threads -Iengine -Itests/sim -Itests/model -Iexamples
build/host/threads/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC ) $(firstword $(HOST_CCS)) $(THREADS_CFLAGS) -MMD -MP -c -o $@ $<
build/threads: $(patsubst %.c,build/host/threads/%.o,$(ENGINE_SOURCES) $(BLOCK_DEVICE) \
    $(wildcard tests/threads/*.c))
	$(call quiet,LD ) $(firstword $(HOST_CCS)) -fsanitize=thread -o $@ $^ -lpthread

# The bench, the counts of instructions and the nvme tool, on a machine in virtual time. Its device
# is the tests'.
SIMULATED_CFLAGS := -std=c17 -O2 -g $(WARNINGS) -Iplatform/sim -Iengine -Ipci \
    -Iruntime -Iplatform/riscv64 -Iplatform/virt -Itests/model
SIMULATED_SOURCES := $(ENGINE_SOURCES) $(wildcard runtime/*.c platform/sim/*.[cS] \
    tests/model/model*.c) $(addprefix platform/riscv64/,heap.c hart_timer.c) \
    $(addprefix tests/model/,event.c kept.c note.c world.c)
# The machine starts before the program (start.c); whether hybrid mode begins a wait is counted
# where its decision is called (wait.c).
SIMULATED_LDFLAGS := -Wl,--wrap=main -Wl,--wrap=nvme_hybrid_spin \
    -Wl,--wrap=nvme_queue_submit -Wl,--wrap=nvme_queue_reap
# $(1) the end of the programs' names, $(2) the compiler
define simulated_build
build/host/simulated$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	$$(call quiet,CC ) $(2) $$(SIMULATED_CFLAGS) -MMD -MP -c -o $$@ $$<
build/host/simulated$(1)/%.o: %.S Makefile
	@mkdir -p $$(@D)
	$$(call quiet,CC ) $(2) -c -o $$@ $$<
build/sim-bench$(1): $$(patsubst %,build/host/simulated$(1)/%.o,$$(basename \
    $$(SIMULATED_SOURCES) $$(bench_SOURCES)))
build/sim-instructions$(1): $$(patsubst %,build/host/simulated$(1)/%.o,$$(basename \
    $$(SIMULATED_SOURCES) $$(instructions_SOURCES)))
build/sim-nvme$(1): $$(patsubst %,build/host/simulated$(1)/%.o,$$(basename \
    $$(SIMULATED_SOURCES) $$(nvme_SOURCES)))
build/sim-bench$(1) build/sim-instructions$(1) build/sim-nvme$(1):
	$$(call quiet,LD ) $(2) $$(SIMULATED_LDFLAGS) -o $$@ $$^
endef
$(eval $(call simulated_build,,$(firstword $(HOST_CCS))))
# The second compiler, with a sanitizer: for the tests alone, as its program is slower.
$(eval $(call simulated_build,-checked,clang -fsanitize=undefined -fno-sanitize-recover=all))
.PHONY: sim-programs sim-checked
sim-programs: build/sim-bench build/sim-instructions build/sim-nvme
sim-checked: build/sim-bench-checked

# ---- the second compiler, and the checkers ------------------------------------------------------

# Expanded at first use and kept. clang before 17 does not know the names of these extensions (their
# instructions are in its base set), and needs the folder of picolibc's headers.
CLANG_MARCH = $(eval CLANG_MARCH := $(shell clang --target=riscv64-unknown-elf \
    -march=rv64imac_zicsr_zifencei -x c -fsyntax-only /dev/null 2>/dev/null && \
    echo rv64imac_zicsr_zifencei || echo rv64imac))$(CLANG_MARCH)
PICOLIBC_INCLUDE = $(eval PICOLIBC_INCLUDE := $(shell $(TARGET_CC) $(PICOLIBC) -E -v -x c \
    /dev/null 2>&1 | sed -n '/search starts/,/^End/s/^ \(.*picolibc.*\)$$/\1/p'))$(PICOLIBC_INCLUDE)
CLANG_CFLAGS = --target=riscv64-unknown-elf -march=$(CLANG_MARCH) $(TARGET_MACHINE) -std=c17 \
    $(OPTIMIZE) $(WARNINGS) -Wno-unused-command-line-argument
CLANG_LAYER_FLAGS = $(patsubst $(PICOLIBC),-isystem $(PICOLIBC_INCLUDE),$(LAYER_FLAGS))
CLANG_OBJECTS := $(patsubst %.c,build/clang/%.o,$(filter %.c,$(TARGET_SOURCES)))
TIDIED := $(CLANG_OBJECTS:build/clang/%.o=build/tidy/%.ok)

build/clang/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC ) clang $(CLANG_CFLAGS) $(CLANG_LAYER_FLAGS) -MMD -MP -c -o $@ $<

C_FOLDERS := $(wildcard engine pci platform runtime examples bench scripts tests)
C_FILES = $(shell find $(C_FOLDERS) -name '*.[ch]' | sort)
SH_FILES := $(wildcard scripts/*.sh scripts/hooks/* .ci/run)
PY_FILES = $(shell find scripts tests -name '*.py' | sort)

# The findings of these two change with their version: only Debian 12's version counts.
only_version = case "$$($(1) --version)" in *"ersion $(2)."*|*"heck $(2)"*) ;; \
    *) echo "skipped: judged by $(1) $(2), this is $$($(1) --version)"; exit 0;; esac;

.PHONY: check-format check-layering check-gcc check-clang check-clang-tidy check-cppcheck \
    check-shell check-python check-mutants
check-format:
	@$(call only_version,clang-format,14) clang-format --dry-run -Werror $(C_FILES)
check-layering: build/libnvme.a
	@$(PYTHON) tests/lint/run.py --cc $(TARGET_CC) --nm $(CROSS)nm
check-gcc: all sim-programs
check-clang: $(CLANG_OBJECTS) sim-checked
check-clang-tidy:
	@$(MAKE) -k $(TIDIED)
# If clang's object is out of date, by a header too, so is clang-tidy's answer.
build/tidy/%.ok: %.c build/clang/%.o .clang-tidy
	@mkdir -p $(@D)
	@clang-tidy --quiet --warnings-as-errors='*' $< -- $(filter-out -W%,$(CLANG_CFLAGS)) \
	    -isystem $(PICOLIBC_INCLUDE) $(filter -I%,$(TEST_FLAGS)) >$(@:.ok=.log) 2>&1 && \
	    ! grep -qE '(error|warning): ' $(@:.ok=.log) && touch $@ || { cat $(@:.ok=.log); exit 1; }
# Two checks suppressed: they misread registers bound to variables, and a bound that is tested
# against another variable; both compilers' analyzers cover what is left.
check-cppcheck:
	@mkdir -p build/cppcheck
	@$(call only_version,cppcheck,2.10) cppcheck --quiet --std=c11 \
	    --platform=unix64 -j 2 --error-exitcode=1 --inline-suppr \
	    --enable=warning,performance,portability --suppress=constStatement \
	    --suppress=arrayIndexOutOfBoundsCond --cppcheck-build-dir=build/cppcheck \
	    -D__riscv -D__riscv_xlen=64 $(filter -I%,$(TEST_FLAGS)) \
	    -Itests/model $(filter %.c,$(TARGET_SOURCES)) $(wildcard platform/sim/*.c)
check-shell:
	@shellcheck $(SH_FILES)
check-mutants:
	@$(PYTHON) tests/mutate/run.py --check
check-python:
	@$(PYTHON) -m py_compile $(PY_FILES)
	@pyflakes3 $(PY_FILES)

# ---- actions ----------------------------------------------------------------------------------

.PHONY: help all setup compile-commands run bench bench-quick bench-aa bench-peers plot test \
    test-host test-qemu test-full check sim threads fuzz mutate scorecard soak model instructions \
    coverage size power-cut debug clean run-bench run-instructions run-tests run-coverage \
    host-tests fuzz-targets

help: ## list the actions
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile

all: build/dma/nvme.elf build/dma/selftest.elf $(PROGRAMS:%=build/paged/%.elf)
all: $(PROGRAMS:%=build/%.elf) build/libnvme.a ## build every program of the guest into build/

setup: ## install what the build, the bench and the tests need, and the commit hook
	@scripts/setup.sh test
	@scripts/setup.sh hooks

compile-commands: ## write compile_commands.json for editors: compiles every program anew
	@scripts/setup.sh compile-commands
	@bear --output compile_commands.json -- $(MAKE) --always-make all

run: ## boot APP (hello) and show the disk image before and after
	@scripts/setup.sh run
	@$(MAKE) build/$(APP).elf
	@rm -f build/$(APP).img
	@truncate -s 128M build/$(APP).img
	@echo "build/$(APP).img before:" && od -A x -t x1z -v -N 64 build/$(APP).img
	@$(PYTHON) scripts/run.py $(APP) --backing build/$(APP).img
	@echo "build/$(APP).img after:" && od -A x -t x1z -v -N 64 build/$(APP).img

bench: ## measure polling against interrupts and draw the plots (4 minutes)
	@scripts/setup.sh bench
	@$(MAKE) run-bench PRESET=default

bench-quick: ## the same with fewer points (45 seconds)
	@scripts/setup.sh bench
	@$(MAKE) run-bench PRESET=quick

bench-peers: ## compare with Linux, by fio and a bare loop, in paired boots (12 minutes)
	@scripts/setup.sh peers
	@$(MAKE) all build/uring-loop
	@$(PYTHON) scripts/peers.py $(PEERS)
	@[ ! -e results/latest/results.json ] || $(PYTHON) scripts/plot.py results/latest

run-bench: all sim-programs
	@$(PYTHON) scripts/bench.py --preset $(PRESET)
	@$(PYTHON) scripts/plot.py results/latest

bench-aa: ## check that equal builds compare equal and a slowed one is found (5 minutes)
	@scripts/setup.sh bench
	@$(MAKE) all
	@$(PYTHON) scripts/aa.py

plot: ## draw results/latest again, without QEMU
	@scripts/setup.sh plot
	@$(PYTHON) scripts/plot.py results/latest

.PHONY: results
results: ## write docs/results.md from results/reference
	@cd scripts && $(PYTHON) -m report.results_page

test: ## run all that CI runs: check, unit tests, simulation, models, scorecard, scripts, QEMU
	@scripts/setup.sh test
	@$(MAKE) run-tests SUITES="check host sim threads fuzz model scorecard scripts qemu"

test-host: ## run the unit tests alone, with every host compiler
	@scripts/setup.sh test
	@$(MAKE) run-tests SUITES=host

test-qemu: ## run the tests under QEMU alone
	@scripts/setup.sh test
	@$(MAKE) run-tests SUITES=qemu

test-full: ## as test, with every machine configuration
	@scripts/setup.sh test
	@$(MAKE) run-tests SUITES="check host sim threads fuzz model scorecard scripts qemu-full"

sim: ## simulate with fresh seeds for SECONDS (60): random schedules and faults
	@scripts/setup.sh test
	@$(MAKE) build/sim
	@build/sim --seed $$(date +%s)000 --seconds $(SECONDS)

threads: ## run the engine on threads under the thread sanitizer for SECONDS (60)
	@scripts/setup.sh test
	@$(MAKE) build/threads
	@build/threads --seed $$(date +%s) --seconds $(SECONDS)

check: ## check format, layering, limits, wording; compile with GCC and clang; analyse
	@scripts/setup.sh test
	@$(MAKE) run-tests SUITES=check

host-tests: $(HOST_TESTS)

run-tests:
	@env -u MAKEFLAGS -u MAKELEVEL HOST_CCS="$(HOST_CCS)" $(PYTHON) tests/run_tests.py $(SUITES)

fuzz: ## fuzz device, device tree and options for SECONDS (60) each
	@scripts/setup.sh test
	@$(MAKE) fuzz-targets
	@$(PYTHON) tests/fuzz/run.py --seconds $(SECONDS)

fuzz-targets: $(FUZZ_TARGETS:%=build/%)

mutate: ## put bugs into the engine one by one: the tests must find 90 % (an hour)
	@scripts/setup.sh test
	@$(PYTHON) tests/mutate/run.py

power-cut: ## cut the power in 20 workloads: what was promised is there (1 minute)
	@scripts/setup.sh test
	@$(MAKE) build/selftest.elf
	@$(PYTHON) tests/qemu/power_cut.py

scorecard: ## print the figures of reliability, each with its aim (2 hours); SHORT=1: a minute
	@scripts/setup.sh test
	@$(MAKE) all build/sim fuzz-targets
	@$(PYTHON) tests/scorecard.py $(if $(filter 1,$(SHORT)),--short)

soak: ## simulate, fuzz and test machines in turn for HOURS (1, or a part), with new seeds
	@scripts/setup.sh test
	@$(MAKE) all build/sim build/threads fuzz-targets
	@$(PYTHON) tests/soak.py --hours $(HOURS)

model: ## check the models of tests/spin/ exhaustively with SPIN
	@scripts/setup.sh test
	@$(PYTHON) tests/spin/run.py

instructions: ## count instructions per I/O; DETAIL=1: by function; UPDATE=1: save as baseline
	@scripts/setup.sh run
	@$(MAKE) run-instructions

run-instructions: all
	@$(PYTHON) tests/qemu/instruction_counts.py $(if $(filter 1,$(DETAIL)),--detail) \
	    $(if $(filter 1,$(UPDATE)),--update)

coverage: ## measure line and branch coverage of the engine by the unit tests
	@scripts/setup.sh test
	@$(MAKE) run-coverage
	@gcovr --root . --filter engine/ --filter pci/ --filter runtime/ --filter platform/ \
	    --html-details build/coverage.html --print-summary build/host/coverage
	@echo "details: build/coverage.html"

run-coverage: $(HOST_TESTS_coverage)
	@find build/host/coverage -name '*.gcda' -delete
	@rm -f build/host/coverage/log.txt
	@for t in $^; do ./$$t >>build/host/coverage/log.txt 2>&1 || \
	    { cat build/host/coverage/log.txt; exit 1; }; done

# For other kernels: the engine, the PCI library and the check of a port in one folder, and the same
# as a library on the template port. LIBRARY_MACHINE has to be the kernel's own.
VERSION := $(shell sed -n 's,.*NVME_ENGINE_VERSION.*/\* \(.*\) \*/,\1,p' engine/nvme.h)
PREFIX ?= /usr/local
LIBRARY_MACHINE ?= -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany
LIBRARY_SOURCES := $(ENGINE_SOURCES) $(wildcard pci/*.c tests/port/nvme_port_check*.c)
LIBRARY_HEADERS := $(filter-out %_internal.h,$(wildcard engine/*.h)) $(wildcard pci/*.h) \
    tests/port/nvme_port_check.h tests/port/template/nvme_port.h
DROP_FILES := $(LIBRARY_SOURCES) $(LIBRARY_HEADERS) $(wildcard engine/*_internal.h) \
    $(wildcard examples/block_device*.[ch]) $(wildcard examples/msi_aggregator.[ch]) LICENSE \
    docs/porting.md
DROP := hartq-$(VERSION)

build/dist/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC ) $(TARGET_CC) -std=c17 $(OPTIMIZE) -g $(LIBRARY_MACHINE) $(WARNINGS) \
	    -ffreestanding -ffunction-sections -fdata-sections -Itests/port/template -Iengine -Ipci \
	    -MMD -MP -c -o $@ $<

build/dist/libnvme.a: $(LIBRARY_SOURCES:%.c=build/dist/%.o)
	@rm -f $@
	$(call quiet,AR ) $(TARGET_AR) rcs $@ $^

# A prefix that moves with the file.
build/dist/hartq.pc: Makefile engine/nvme.h
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$${pcfiledir}/../..' 'Name: hartq' \
	    'Description: asynchronous NVMe for kernels' 'Version: $(VERSION)' \
	    'Cflags: -I$${prefix}/include/hartq' 'Libs: -L$${prefix}/lib -lnvme' >$@

.PHONY: install dist
install: build/dist/libnvme.a build/dist/hartq.pc ## install the library for other kernels
	@install -d $(DESTDIR)$(PREFIX)/include/hartq $(DESTDIR)$(PREFIX)/lib/pkgconfig
	@install -m 644 $(LIBRARY_HEADERS) $(DESTDIR)$(PREFIX)/include/hartq
	@install -m 644 build/dist/libnvme.a $(DESTDIR)$(PREFIX)/lib
	@install -m 644 build/dist/hartq.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig

dist: ## pack the sources for other kernels, and what install installs
	@rm -rf build/dist/source build/dist/library
	@install -d build/dist/source/$(DROP)
	@install -m 644 $(DROP_FILES) build/dist/source/$(DROP)
	@$(MAKE) install DESTDIR=build/dist/library PREFIX=/$(DROP)
	@$(call pack,source,$(DROP)-source.tar.gz)
	@$(call pack,library,$(DROP)-riscv64.tar.gz)

# The same files give the same archive.
pack = tar --create --gzip --file build/dist/$(2) --directory build/dist/$(1) --sort=name \
    --mtime=@0 --owner=0 --group=0 --numeric-owner $(DROP) && echo build/dist/$(2)

# The engine on a port of plain memory: prints the memory of a queue.
build/host/size: tests/port/size.c tests/port/nvme_port.h $(ENGINE_SOURCES) $(wildcard engine/*.h)
	@mkdir -p $(@D)
	$(call quiet,CC ) $(firstword $(HOST_CCS)) -std=c17 $(WARNINGS) -O2 -Itests/port -Iengine -o $@ \
	    $(filter %.c,$^)

size: build/libnvme.a build/host/size ## print the bytes of the engine, of its stack, of a queue
	@$(PYTHON) tests/lint/size.py --size $(CROSS)size build/libnvme.a
	@$(PYTHON) tests/lint/stack.py -- $(TARGET_CC) $(TARGET_CFLAGS) $(ENGINE_FLAGS)
	@build/host/size

.PHONY: validate-sim
validate-sim: sim-programs ## compare the simulated machine with the run that it was fitted to
	@$(PYTHON) tests/sim/validate.py

debug: build/$(APP).elf ## boot APP (hello) and wait for gdb-multiarch on port 1234
	@$(PYTHON) scripts/run.py --gdb $(APP) --backing ram:64m

clean: ## remove build/
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
