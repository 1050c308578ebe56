# SPDX-License-Identifier: GPL-2.0-only
#
# Guests: everything that boots.

.PHONY: deps-build deps-guest deps-roots
deps-build:
	$(Q)qemu/deps build
deps-guest:
	$(Q)qemu/deps guest
deps-roots:
	$(Q)qemu/deps roots

# The compiler and the libraries come first.
$(user-obj) $(bpf-obj:.bpf.o=.tmp.o): | deps-build

.PHONY: bench
bench: deps-build deps-guest user ## benchmark the oldest and newest kernel this host builds for, or KERNEL (HITS, ARGS)
	$(Q)qemu/bench --accel $(ACCEL) $(if $(CPU),--cpu $(CPU)) \
		$(or $(GUEST_KERNEL),$(BENCH_KERNELS)) -- $(if $(HITS),--hits $(HITS)) $(ARGS)

.PHONY: history
history: deps-build deps-guest user ## what a hit costs on every series that Debian ships, beside each other
	$(Q)qemu/bench --history $(if $(CPU),--cpu $(CPU)) \
		$(or $(GUEST_KERNEL),$(HISTORY_KERNELS)) -- \
		$(if $(HITS),--hits $(HITS)) $(ARGS)

# Which those are, for whoever draws them.
.PHONY: history-kernels
history-kernels:
	@printf '%s\n' $(HISTORY_KERNELS)

.PHONY: report
report: deps-build deps-guest user ## draw the results as a page, out/report.html; measures what is missing
	$(Q)[ -s out/bench.jsonl ] || $(MAKE) bench
	$(Q)[ -s out/xray.jsonl ] || $(MAKE) xray
	$(Q)qemu/report --accel $(ACCEL) $(if $(CPU),--cpu $(CPU)) $(or $(GUEST_KERNEL),$(BENCH_KERNELS))

xray-plugin := $(O)/qemu/xray.so

$(xray-plugin): qemu/xray.c qemu/xray.h qemu/plugin.h qemu/qemu.mk | deps-build $(O)/qemu
	$(call user-say,CC)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -fPIC -shared \
		-fvisibility=hidden $(CFLAGS) -o $@ $<

$(O)/qemu:
	@mkdir -p $@

# Through the environment: a command has quotes of its own.
.PHONY: xray
xray: export XRAY_SITE := $(value SITE)
xray: export XRAY_CMD := $(value CMD)
xray: deps-build deps-guest user $(xray-plugin) ## every instruction of a hit (MECHANISM, TARGET)
	$(Q)qemu/xray $(if $(CPU),--cpu $(CPU)) $(if $(SITE),--site "$$XRAY_SITE" --command "$$XRAY_CMD") \
		$(or $(GUEST_KERNEL),$(if $(SITE),6.12-cloud-amd64,$(BENCH_KERNELS))) -- \
		$(MECHANISM:%=--mechanism %) $(if $(SITE),,$(TARGET:%=--target %)) $(ARGS)

.PHONY: coverage
coverage: deps-build deps-guest user ## what can be probed of both kernels' text, on two CPU models
	$(Q)qemu/coverage $(if $(CPU),--cpu $(CPU)) $(or $(GUEST_KERNEL),$(BENCH_KERNELS)) \
		$(if $(ARGS),-- $(ARGS))

.PHONY: cover
cover: export COVER_CMD := $(value CMD)
cover: deps-build deps-guest user ## which code of a kernel a command reaches (CMD, ARGS)
	$(Q)qemu/cover $(if $(CPU),--cpu $(CPU)) $(or $(GUEST_KERNEL),6.12-cloud-amd64) "$$COVER_CMD" \
		$(if $(ARGS),-- $(ARGS))

.PHONY: shell
shell: deps-build deps-guest user $(if $(ROOT),man) ## a prompt in a guest, with everything loaded (^A x leaves)
	$(Q)qemu/run --accel $(ACCEL) $(if $(CPU),--cpu $(CPU)) $(if $(ROOT),--root $(ROOT) --mem 1024) \
		$(if $(GUEST_KERNEL),--kernel $(GUEST_KERNEL)) $(ARGS) --shell

.PHONY: lab
lab: deps-build deps-guest user $(if $(LAB),bpf lab-programs $(xray-plugin)) ## the labs, or a guest for one of them (LAB)
	$(Q)$(if $(LAB),qemu/lab $(if $(CPU),--cpu $(CPU)) \
		$(if $(GUEST_KERNEL),--kernel $(GUEST_KERNEL)) $(LAB) $(ARGS),qemu/lab --list)

.PHONY: kernels
kernels: deps-build ## fetch the kernels of make bench to the cache
	$(Q)for kernel in $(BENCH_KERNELS); do qemu/kernel $$kernel || exit; done
