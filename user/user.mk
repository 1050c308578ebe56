# SPDX-License-Identifier: GPL-2.0-only
# The ktramp command. Static, so that it runs in a guest that has nothing else.

O ?= .output
KTRAMP_VERSION ?= $(shell sed -n 's/^MODULE_VERSION("\(.*\)");/\1/p' module/main.c)

user-bin := $(O)/user/ktramp
user-src := $(filter-out user/lib/libeu.c,$(sort $(wildcard user/*.c user/*/*.c)))
user-obj := $(user-src:user/%.c=$(O)/user/%.o)

USER_CFLAGS ?= -O2 -g
user-cflags := -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror=format -Werror=return-type
user-cflags += -Werror=implicit-function-declaration -Werror=incompatible-pointer-types
user-cflags += -Werror=int-conversion -Wmissing-prototypes -Wstrict-prototypes -Wvla
# Text that does not fit its line is cut, which is what snprintf is for.
user-cflags += -Wno-format-truncation
# Skeletons are included by name; libbpf is static too, with what it is made of.
user-cflags += -I$(O)/bpf -Ibpf -iquote user
user-libeu := $(O)/user/lib/libeu.a
# A static libelf that decompresses sections wants libzstd; another leaves it alone.
user-libbpf := -lbpf -lelf $(user-libeu) -lz -lzstd
user-ldlibs := -lcapstone -ljansson -lseccomp $(user-libbpf) -lm

user-say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $@;)

.PHONY: user
user: $(user-bin)

$(user-bin): $(user-obj) $(O)/user/btfs.o | $(user-libeu)
	$(call user-say,LINK)$(CC) -static $(LDFLAGS) -o $@ $^ $(user-ldlibs)

$(user-libeu): $(O)/user/lib/libeu.o
	$(call user-say,AR)rm -f $@ && ar rcs $@ $<

# Types of the kernels in BTF_KERNELS that have none of their own. Made anew when the list
# changes, or the programs that they are for.
$(O)/user/btfs.kernels: FORCE | $(O)/user
	@echo '$(BTF_KERNELS)' | cmp -s - $@ || echo '$(BTF_KERNELS)' >$@

.PHONY: FORCE

$(O)/user/btfs.c: $(O)/user/btfs.kernels $(bpf-obj) bpf/btfs
	$(call user-say,GEN)bpf/btfs $@ $(bpf-obj) -- $(BTF_KERNELS)

$(O)/user/btfs.o: $(O)/user/btfs.c user/bpf/btfs.h
	$(call user-say,CC)$(CC) $(user-cflags) $(USER_CFLAGS) -c -o $@ $<

$(O)/user/%.o: user/%.c user/user.mk | $(O)/user $(bpf-skel)
	@mkdir -p $(@D)
	$(call user-say,CC)$(CC) $(user-cflags) $(USER_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/user/main.o $(O)/user/cmd/cmd_info.o: user-cflags += -DKTRAMP_VERSION='"$(KTRAMP_VERSION)"'

# The page of ktramp report is one file: its style and scripts go into its template, and that
# into the command.
user-page := $(O)/user/page.html
user-page-parts := lib words trace model costs code hit page

$(user-page): user/page/page.html user/page/style.css $(user-page-parts:%=user/page/%.js) \
		user/user.mk | $(O)/user
	$(call user-say,GEN)cat $(user-page-parts:%=user/page/%.js) >$@.js && \
		sed -e '/^@style@$$/{r user/page/style.css' -e 'd}' \
			-e '/^@script@$$/{r $@.js' -e 'd}' $< >$@

$(O)/user/page/page.o: $(user-page)
$(O)/user/page/page.o: user-cflags += -DKTRAMP_PAGE='"$(user-page)"'

# The labs: every lab.json behind the other, and the figures that guests printed for them.
user-labs := $(O)/user/labs.json
user-labs-parts := $(sort $(wildcard Documentation/labs/*/lab.json)) \
	$(sort $(wildcard Documentation/labs/*/figures.jsonl))

$(user-labs): $(user-labs-parts) user/user.mk | $(O)/user
	$(call user-say,GEN)cat $(user-labs-parts) >$@

$(O)/user/lab/lab_data.o: $(user-labs)
$(O)/user/lab/lab_data.o: user-cflags += -DKTRAMP_LABS='"$(user-labs)"'

$(O)/user:
	@mkdir -p $@

-include $(user-obj:.o=.d)
