# SPDX-License-Identifier: GPL-2.0-only
#
# Every entry point a person types; `make` lists them. The module's own makefile is Kbuild.

## Variables:
##   KERNEL   the guest's kernel: a series such as 6.12 or 7.3, -amd64, -cloud-amd64 or -rt-amd64
##   KDIR     a kernel tree you built, instead of KERNEL; for module: what to build for
##   ACCEL    icount (exact instruction counts), tcg, kvm or auto
##   CPU      the guest's CPU model, as QEMU names it
##   MECHANISM  of make xray: this one only [all]
##   TARGET   of make xray: call this one [each mechanism's own]
##   SITE     of make xray: probe this place of the kernel instead
##   CMD      what to run: of make xray, while SITE is probed; of make cover
##   ROOT     of make shell: a whole Debian with its tools, "debian" or a release
##   LAB      of make lab: this one
##   BTF_KERNELS  kernels without types of their own, to build those into the command
##   HITS     hits per measurement of make bench
##   ARGS     more arguments for ktramp bench, or options for qemu/run in make shell
##   O        where products go [.output]
##   V        1 shows each command

SHELL := /bin/bash
# A recipe fails with the first command of a pipe, too.
.SHELLFLAGS := -o pipefail -c

# Neither make nor kbuild can have a space in a path: say so before anything is built.
space := $(subst ,, )
$(foreach path,CURDIR O KDIR,$(if $(findstring $(space),$(strip $($(path)))),\
	$(error $(if $(filter CURDIR,$(path)),this directory,$(path)) is '$($(path))', and kbuild takes no \
	path with a space in it: use another one)))
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

O ?= .output
V ?= 0
ACCEL ?= icount
PREFIX ?= /usr/local
# The kernel's makefiles work elsewhere.
destdir = $(if $(DESTDIR),$(abspath $(DESTDIR)))
# Asked once, and only when somebody wants to know.
BENCH_KERNELS ?= $(eval BENCH_KERNELS := $(shell qemu/series))$(BENCH_KERNELS)
HISTORY_KERNELS ?= 5.10-cloud-amd64 6.1-cloud-amd64 6.12+deb12-cloud-amd64 \
	6.12+deb13-cloud-amd64 7.2-cloud-amd64 7.3-cloud-amd64

Q := $(if $(filter 1,$(V)),,@)
GUEST_KERNEL := $(if $(KDIR),$(abspath $(KDIR)),$(KERNEL))
MODULE_KDIR := $(abspath $(or $(KDIR),/lib/modules/$(shell uname -r)/build))
KTRAMP_VERSION := $(shell sed -n 's/^MODULE_VERSION("\(.*\)");/\1/p' module/main.c)

export V
export KTRAMP_OUTPUT := $(abspath $(O))

include bpf/bpf.mk
include user/user.mk
include qemu/qemu.mk
include tests/tests.mk
include Documentation/doc.mk

.PHONY: help
help: ## this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | sort | expand -t 17
	@sed -n 's/^## \{0,1\}//p' Makefile

.PHONY: module
module: deps-build ## ktramp.ko for the running kernel, or for KDIR
	$(Q)ko=$$(qemu/module $(MODULE_KDIR)) && cp "$$ko" ktramp.ko

.PHONY: install
install: user $(doc-man) ## the module for the running kernel (or KDIR), and the command, to DESTDIR
	$(Q)ko=$$(qemu/module $(MODULE_KDIR)) && \
		env -u MAKEFLAGS -u O make -C $(MODULE_KDIR) M="$${ko%/*}" \
			INSTALL_MOD_PATH=$(destdir) modules_install
	$(Q)install -D -m 755 $(O)/user/ktramp $(destdir)$(PREFIX)/bin/ktramp
	$(Q)install -D -m 644 user/ktramp.bash-completion \
		$(destdir)$(PREFIX)/share/bash-completion/completions/ktramp
	$(Q)install -d $(destdir)$(PREFIX)/share/man/man1
	$(Q)gzip -9n <$(doc-man) >$(destdir)$(PREFIX)/share/man/man1/ktramp.1.gz

.PHONY: dkms-install
dkms-install: ## the sources to DKMS, which builds them for each kernel
	$(Q)grep -qxF 'PACKAGE_VERSION="$(KTRAMP_VERSION)"' dkms.conf || { \
		echo 'dkms.conf: PACKAGE_VERSION is not $(KTRAMP_VERSION), the version in module/main.c' >&2; \
		exit 1; }
	$(Q)install -d $(destdir)/usr/src/ktramp-$(KTRAMP_VERSION)
	$(Q)cp -r Kbuild dkms.conf module $(destdir)/usr/src/ktramp-$(KTRAMP_VERSION)/
	$(if $(DESTDIR),,$(Q)dkms install ktramp/$(KTRAMP_VERSION))

.PHONY: clean
clean: ## remove everything that was built
	$(Q)rm -rf $(O) ktramp.ko

.PHONY: distclean
distclean: clean ## clean, and remove the results and the cache of kernels
	$(Q)rm -rf out
	$(Q)qemu/kernel --drop-cache
