# SPDX-License-Identifier: GPL-2.0-only
#
# Tests: on the host, in guests, and of the sources themselves.

O ?= .output

include tests/host/host.mk

GUEST_TESTS :=
GUEST_TESTS += abi
GUEST_TESTS += admit
GUEST_TESTS += bench
GUEST_TESTS += bpf
GUEST_TESTS += chaos
GUEST_TESTS += cli
GUEST_TESTS += coexist
GUEST_TESTS += coverage
GUEST_TESTS += contexts
GUEST_TESTS += cover
GUEST_TESTS += cover_live
GUEST_TESTS += cover_seen
GUEST_TESTS += direct
GUEST_TESTS += door
GUEST_TESTS += engine
GUEST_TESTS += exits
GUEST_TESTS += fault
GUEST_TESTS += flood
GUEST_TESTS += fuzz
GUEST_TESTS += hazard
GUEST_TESTS += kexec
GUEST_TESTS += lifetime
GUEST_TESTS += live
GUEST_TESTS += lockdown
GUEST_TESTS += names
GUEST_TESTS += native
GUEST_TESTS += overlay
GUEST_TESTS += places
GUEST_TESTS += race
GUEST_TESTS += regs
GUEST_TESTS += run
GUEST_TESTS += springboard
GUEST_TESTS += state
GUEST_TESTS += trace

guest-out := $(O)/tests/guest
guest-obj := $(O)/tests/obj
guest-bin := $(GUEST_TESTS:%=$(guest-out)/%_test)
# A tracer as others write them, which the test "run" runs.
guest-tools := $(guest-out)/probe_tool
# What a user of ktramp bpf has made himself.
guest-objects := $(guest-out)/progs.bpf.o $(guest-out)/trace.bpf.o $(guest-out)/moved.bpf.o \
	$(guest-out)/wrong.bpf.o $(guest-out)/wrong.tmp.o

# The kernel's own harness, out of the cache. Asked for only when a test is compiled.
HARNESS = $(shell qemu/source)

guest-cflags = -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra
guest-cflags += -Wstrict-prototypes -Imodule -Imodule/uapi -isystem $(HARNESS)
# A test that does not look at its fixture, and a variant's fields left zero, are the
# harness's ordinary use.
guest-cflags += -Wno-unused-parameter -Wno-missing-field-initializers

guest-say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $@;)

.PHONY: deps-check
deps-check:
	$(Q)qemu/deps check

$(HOST_TESTS): | deps-check

.PHONY: deps-browser
deps-browser:
	$(Q)qemu/deps browser

# The debug kernel has no types of its own: the command brings them along.
check check-all check-guest: BTF_KERNELS ?= \
	$(if $(GUEST_KERNEL),$(filter %-debug,$(GUEST_KERNEL)),6.12-debug)

.PHONY: check
check: deps-build deps-guest deps-roots deps-check deps-browser user lab-programs $(xray-plugin) host-tests guest-tests ## all tests: host, lint, guests
	$(Q)tests/run $(if $(GUEST_KERNEL),--kernel $(GUEST_KERNEL)) $(if $(TEST),--test $(TEST))

.PHONY: check-all
check-all: deps-build deps-guest deps-roots deps-check user lab-programs host-tests guest-tests $(xray-plugin) ## all tests whole: hours
	$(Q)qemu/deps fuzz
	$(Q)$(MAKE) --no-print-directory $(HOST_OUT)/insn_libfuzzer
	$(Q)tests/run --all $(if $(GUEST_KERNEL),--kernel $(GUEST_KERNEL)) $(if $(TEST),--test $(TEST))

.PHONY: check-host
check-host: deps-build deps-guest user host-tests ## tests that run on the host
	$(Q)tests/run --only host

.PHONY: check-guest
check-guest: deps-build deps-guest user guest-tests $(xray-plugin) ## tests in guests (TEST=engine KERNEL=6.12)
	$(Q)tests/run --only guest $(if $(GUEST_KERNEL),--kernel $(GUEST_KERNEL)) \
		$(if $(TEST),--test $(TEST))

.PHONY: check-xray
check-xray: deps-build deps-guest user $(xray-plugin) ## x-rays of hits against the bench
	$(Q)tests/run --only xray $(if $(GUEST_KERNEL),--kernel $(GUEST_KERNEL))

.PHONY: check-page
check-page: deps-build deps-guest deps-browser user $(xray-plugin) ## the page of make report, in a browser
	$(Q)tests/run --only page

.PHONY: check-labs
check-labs: deps-build deps-guest deps-check user bpf lab-programs $(xray-plugin) ## the labs' outputs and answers
	$(Q)tests/run --only labs $(if $(GUEST_KERNEL),--kernel $(GUEST_KERNEL))

.PHONY: live
live: deps-build deps-guest user guest-tests ## probes at each instruction of running kernels: hours
	$(Q)tests/run --all --test live $(if $(GUEST_KERNEL),--kernel $(GUEST_KERNEL))

.PHONY: lint
lint: deps-build deps-check ## check the sources themselves
	$(Q)tests/run --only lint

.PHONY: host-tests
host-tests: $(HOST_TESTS)

.PHONY: guest-tests
guest-tests: $(guest-bin) $(guest-tools) $(guest-out)/all $(guest-objects) $(guest-out)/workload \
	$(guest-out)/ext4.img.gz

$(guest-objects): $(guest-out)/%: $(O)/bpf/% | $(guest-out)
	$(Q)cp $< $@

$(guest-out)/all: tests/guest/all | $(guest-out)
	$(Q)install -m 755 $< $@

$(guest-bin): $(guest-out)/%_test: $(guest-obj)/%_test.o $(guest-obj)/kt.o | $(guest-out)
	$(call guest-say,LINK)$(CC) -static $(LDFLAGS) -o $@ $^ $(guest-ldlibs)

$(guest-out)/cli_test $(guest-out)/bench_test $(guest-out)/exits_test \
	$(guest-out)/overlay_test: guest-ldlibs := -ljansson

$(guest-out)/exits_test $(guest-out)/overlay_test: $(guest-obj)/rows.o

# What looks at text by itself.
snapshot-tests := chaos cover cover_live fuzz hazard live
$(snapshot-tests:%=$(guest-out)/%_test): $(guest-obj)/snapshot.o

# What changes text all over.
$(guest-out)/chaos_test $(guest-out)/fuzz_test $(guest-out)/hazard_test \
	$(guest-out)/kexec_test: $(guest-obj)/text.o

# What gives programs to probes.
guest-bpf := bpf chaos contexts flood fuzz state
$(guest-bpf:%=$(guest-out)/%_test): $(guest-obj)/progs.o
$(guest-out)/bpf_test: $(guest-obj)/insn.o
$(guest-bpf:%=$(guest-out)/%_test): guest-ldlibs := $(user-libbpf)
$(guest-bpf:%=$(guest-out)/%_test): | $(user-libeu)
guest-bpf-obj := $(guest-bpf:%=$(guest-obj)/%_test.o) $(patsubst %,$(guest-obj)/%.o,progs probe_tool state_bench state_entry)
$(guest-bpf-obj): guest-cflags += -I$(O)/bpf
$(guest-bpf-obj): $(O)/bpf/progs.skel.h

$(guest-out)/probe_tool: $(guest-obj)/probe_tool.o $(guest-obj)/kt.o $(guest-obj)/progs.o | $(guest-out) $(user-libeu)
	$(call guest-say,LINK)$(CC) -static -pthread $(LDFLAGS) -o $@ $^ $(user-libbpf)

# Of several files, and with the module's own decoder.
guest-state := state_bench state_entry state_form state_make state_diff state_program insn
$(guest-out)/state_test: $(guest-state:%=$(guest-obj)/%.o)
$(guest-out)/state_test: guest-ldlibs += -lcapstone

$(guest-obj)/insn.o: module/decode/insn.c tests/tests.mk | $(guest-obj) deps-build
	$(call guest-say,CC)$(CC) $(guest-cflags) $(CFLAGS) -MMD -MP -c -o $@ $<

# Whose an address is.
$(guest-out)/springboard_test: $(O)/user/lib/ksyms.o

# What takes the sample for `ktramp plan --all`.
live-user := $(addprefix $(O)/user/,plan/sample.o $(addprefix lib/,text.o ksyms.o dev.o names.o out.o host.o stats.o))
$(guest-out)/live_test $(guest-out)/coverage_test: $(live-user)
$(guest-out)/live_test $(guest-out)/cover_live_test: $(guest-obj)/live.o
$(guest-obj)/live.o: guest-cflags += -iquote user
$(guest-out)/live_test $(guest-out)/coverage_test: guest-ldlibs := -ljansson -lm

# What finds the blocks for `ktramp cover`.
cover-user := $(addprefix $(O)/user/,cover/cover_plan.o cover/cover_select.o $(addprefix lib/,text.o ksyms.o dev.o names.o out.o host.o))
cover-tests := cover cover_live cover_seen
$(cover-tests:%=$(guest-out)/%_test): $(guest-obj)/covers.o $(cover-user)
$(cover-tests:%=$(guest-out)/%_test): guest-ldlibs := -ljansson -lm
$(patsubst %,$(guest-obj)/%.o,covers $(cover-tests:%=%_test)): guest-cflags += -iquote user
$(guest-out)/cover_seen_test: $(O)/user/xray/xray_order.o

work-obj := $(patsubst tests/guest/%.c,$(guest-obj)/%.o,$(wildcard tests/guest/work*.c))
$(guest-out)/workload: $(work-obj) | $(guest-out)
	$(call guest-say,LINK)$(CC) -static -pthread $(LDFLAGS) -o $@ $^

# With a journal, and small: it is unpacked in memory.
$(guest-out)/ext4.img.gz: tests/tests.mk | $(guest-out) deps-build
	$(call guest-say,MKFS)rm -f $(@:.gz=) && truncate -s 6M $(@:.gz=) && \
		PATH=$$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -b 1024 -J size=1 -O inline_data,metadata_csum -F $(@:.gz=) && \
		gzip -9nf $(@:.gz=)

$(guest-obj)/%.o: tests/guest/%.c tests/tests.mk | $(guest-obj) deps-build
	$(call guest-say,CC)$(CC) $(guest-cflags) $(CFLAGS) -MMD -MP -c -o $@ $<

$(guest-obj) $(guest-out):
	@mkdir -p $@

-include $(wildcard $(guest-obj)/*.d)
