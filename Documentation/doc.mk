# SPDX-License-Identifier: GPL-2.0-only
#
# The documentation.

O ?= .output
SPHINXBUILD ?= sphinx-build

# -E reads every page: a page that was not changed would not repeat its warning.
.PHONY: doc
doc: ## the documentation as HTML, in .output/doc
	$(Q)qemu/deps check
	$(Q)$(SPHINXBUILD) -E -W --keep-going -q -b html -d $(O)/doctrees Documentation $(O)/doc

# What the command says of itself is on its manual page.
doc-man := $(O)/ktramp.1

.PHONY: man
man: deps-build $(doc-man) ## the manual page, .output/ktramp.1

$(doc-man): Documentation/man Documentation/ktramp.1.in $(user-bin)
	$(Q)Documentation/man $(user-bin) >$@

# What labs have in the guest besides what there is anyway.
lab-programs := $(O)/labs/stepper $(O)/labs/leader $(O)/labs/6.1.btf $(O)/labs/6.12.btf

$(O)/labs/stepper: Documentation/labs/3-step/stepper.c Documentation/doc.mk | deps-build
	@mkdir -p $(@D)
	$(call user-say,CC)$(CC) -std=gnu11 -O2 -g -Wall -Wextra -static $(CFLAGS) -o $@ $<

$(O)/labs/leader: Documentation/labs/7-sidecar/leader.c Documentation/doc.mk | deps-build
	@mkdir -p $(@D)
	$(call user-say,CC)$(CC) -std=gnu11 -O2 -g -Wall -Wextra -static -pthread $(CFLAGS) -o $@ $<

# Of a kernel's types what the object of lab 6 reads.
$(O)/labs/%.btf: $(O)/bpf/moved.bpf.o Documentation/doc.mk | deps-build
	@mkdir -p $(@D)
	$(call user-say,GEN)vmlinux=$$(qemu/kernel $*-cloud-amd64 | sed -n 's/^vmlinux=//p') && \
		$(BPFTOOL) gen min_core_btf "$$vmlinux" $@ $<

.PHONY: lab-programs
lab-programs: $(lab-programs)

.PHONY: doc-samples
doc-samples: deps-build deps-guest user lab-programs $(xray-plugin) guest-tests ## run guests and renew all that the documentation shows: figures, listings, labs and their answers
	$(Q)Documentation/make-samples
	$(Q)Documentation/make-labs
	$(Q)$(MAKE) --no-print-directory user
