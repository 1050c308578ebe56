# SPDX-License-Identifier: GPL-2.0-only
#
# BPF programs: one object a file, the same bytes for every kernel, and a skeleton with it
# inside, by which the command loads it. bpf/NAME.bpf.c becomes .output/bpf/NAME.skel.h, and
# so do those that only tests use, of tests/guest/.

O ?= .output

CLANG ?= clang
# It lives where only root's PATH leads.
BPFTOOL ?= $(or $(shell command -v bpftool 2>/dev/null),/usr/sbin/bpftool)

bpf-out := $(O)/bpf
bpf-src := $(sort $(wildcard bpf/*.bpf.c))
bpf-obj := $(bpf-src:bpf/%.bpf.c=$(bpf-out)/%.bpf.o)
bpf-skel := $(bpf-obj:.bpf.o=.skel.h)

# The object holds no path of this machine, and no DWARF: bpftool's linker leaves only BTF.
# Asked when a program is compiled: by then the packages are installed.
bpf-cflags = -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter
bpf-cflags += -Ibpf -D__TARGET_ARCH_x86 -fno-ident -ffile-prefix-map=$(CURDIR)=.
# The BPF target knows nothing of the directory for the machine's own <asm/types.h>.
bpf-cflags += -idirafter /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)

bpf-say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $@;)

.PHONY: bpf
bpf: $(bpf-skel)

$(bpf-out)/%.skel.h: $(bpf-out)/%.bpf.o
	$(call bpf-say,SKEL)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf >$@

$(bpf-out)/%.bpf.o: $(bpf-out)/%.tmp.o
	$(call bpf-say,BPFLINK)$(BPFTOOL) gen object $@ $<

$(bpf-out)/%.tmp.o: bpf/%.bpf.c bpf/bpf.mk | $(bpf-out)
	$(call bpf-say,BPF)$(CLANG) $(bpf-cflags) -MMD -MP -MT $@ -c -o $@ $<

$(bpf-out)/%.tmp.o: tests/guest/%.bpf.c bpf/bpf.mk | $(bpf-out)
	$(call bpf-say,BPF)$(CLANG) $(bpf-cflags) -MMD -MP -MT $@ -c -o $@ $<

.PRECIOUS: $(bpf-out)/%.tmp.o $(bpf-out)/%.bpf.o

$(bpf-out):
	@mkdir -p $@

-include $(wildcard $(bpf-out)/*.tmp.d)
