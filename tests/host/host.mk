# SPDX-License-Identifier: GPL-2.0-only
# Host tests of the decoder, the planner and the loader: no VM, no kernel. Included by tests/tests.mk.
#
# Needs libzydis-dev, and for insn_libfuzzer clang with libclang-rt-dev.

HOST_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wno-missing-field-initializers -Imodule
HOST_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_OUT := $(O)/tests/host

HOST_INSN_DEPS := $(wildcard module/decode/*.[ch]) tests/host/host.mk
HOST_PLAN_SRCS := module/plan/plan.c module/plan/func.c module/plan/relocate.c module/decode/insn.c
HOST_PLAN_DEPS := $(wildcard module/plan/*.[ch]) module/uapi/ktramp.h $(HOST_INSN_DEPS)
HOST_DIFF_SRCS := tests/host/insn_diff.c tests/host/insn_oracle.c tests/host/insn_explain.c
HOST_DIFF_HDRS := tests/host/insn_oracle.h tests/host/insn_explain.h

HOST_TESTS := \
	$(HOST_OUT)/block_test \
	$(HOST_OUT)/insn_test \
	$(HOST_OUT)/insn_fuzz \
	$(HOST_OUT)/insn_diff \
	$(HOST_OUT)/kernel_test \
	$(HOST_OUT)/live_test \
	$(HOST_OUT)/object_test \
	$(HOST_OUT)/plan_test \
	$(HOST_OUT)/program_test \
#

$(HOST_OUT):
	mkdir -p $@

$(HOST_OUT)/insn_test: tests/host/insn_test.c $(HOST_INSN_DEPS) | $(HOST_OUT)
	$(CC) $(HOST_CFLAGS) $(HOST_SANITIZE) -o $@ $< module/decode/insn.c

$(HOST_OUT)/insn_fuzz: tests/host/insn_fuzz.c $(HOST_INSN_DEPS) | $(HOST_OUT)
	$(CC) $(HOST_CFLAGS) $(HOST_SANITIZE) -DFUZZ_STANDALONE -o $@ $< module/decode/insn.c

$(HOST_OUT)/insn_diff: $(HOST_DIFF_SRCS) $(HOST_DIFF_HDRS) $(HOST_INSN_DEPS) | $(HOST_OUT)
	$(CC) $(HOST_CFLAGS) -o $@ $(HOST_DIFF_SRCS) module/decode/insn.c -lZydis -lZycore

# Millions of plans: the sanitizers are plan_test's.
$(HOST_OUT)/kernel_test: tests/host/kernel_test.c tests/host/kernel.c tests/host/kernel.h \
		$(HOST_PLAN_DEPS) | $(HOST_OUT)
	$(CC) $(HOST_CFLAGS) -o $@ $< tests/host/kernel.c $(HOST_PLAN_SRCS) \
		-lZydis -lZycore

$(HOST_OUT)/block_test: tests/host/block_test.c tests/host/kernel.c tests/host/kernel.h \
		$(HOST_PLAN_DEPS) | $(HOST_OUT)
	$(CC) $(HOST_CFLAGS) $(HOST_SANITIZE) -o $@ $< tests/host/kernel.c module/plan/block.c \
		module/plan/func.c module/decode/insn.c -lZydis -lZycore

$(HOST_OUT)/plan_test: tests/host/plan_test.c $(HOST_PLAN_DEPS) | $(HOST_OUT)
	$(CC) $(HOST_CFLAGS) $(HOST_SANITIZE) -o $@ $< $(HOST_PLAN_SRCS) \
		-lZydis -lZycore

$(HOST_OUT)/live_test: tests/host/live_test.c $(HOST_PLAN_DEPS) | $(HOST_OUT)
	$(CC) $(HOST_CFLAGS) $(HOST_SANITIZE) -o $@ $< module/plan/live.c \
		$(HOST_PLAN_SRCS)

$(HOST_OUT)/program_test: tests/host/program_test.c $(HOST_PLAN_DEPS) | $(HOST_OUT)
	$(CC) $(HOST_CFLAGS) $(HOST_SANITIZE) -o $@ $< module/plan/ebpf.c module/plan/jited.c \
		module/plan/relocate.c module/decode/insn.c -lZydis -lZycore

# The command's loader and libbpf itself, both watched by the sanitizers.
HOST_OBJECT_SRCS := tests/host/object_test.c tests/host/object_change.c tests/host/fake_bpf.c \
	user/cmd/cmd_reloc.c user/lib/host.c user/lib/names.c user/lib/out.c \
	$(addprefix user/bpf/,bpf.c bpf_btf.c bpf_check.c bpf_check_btf.c bpf_dump.c bpf_object.c)

$(HOST_OUT)/object_test: $(HOST_OBJECT_SRCS) tests/host/object_change.h tests/host/fake_bpf.h \
		$(wildcard user/*/*.h) $(HOST_OUT)/libbpf.a $(bpf-skel) | $(HOST_OUT)
	$(CC) $(HOST_CFLAGS) $(HOST_SANITIZE) -D_GNU_SOURCE -Wno-unused-parameter \
		-Wno-format-truncation -iquote user -Ibpf -I$(O)/bpf -Itests/host \
		-Wl,--wrap=syscall -Wl,--wrap=btf__load_vmlinux_btf -o $@ $(HOST_OBJECT_SRCS) \
		$(HOST_OUT)/libbpf.a -lelf -lz -ljansson -lm

$(HOST_OUT)/libbpf.a: tests/host/libbpf tests/host/host.mk | $(HOST_OUT) deps-build deps-check
	dir=$$(tests/host/libbpf) && rm -rf $@.objects && mkdir $@.objects && \
		cd $@.objects && $(CC) -std=gnu11 -O1 -g -w $(HOST_SANITIZE) -D_LARGEFILE64_SOURCE \
			-D_FILE_OFFSET_BITS=64 -I$$dir/include -I$$dir/include/uapi -c $$dir/src/*.c
	ar rcs $@ $@.objects/*.o

# Runs until stopped, if it is started by hand; make check-all gives it a minute.
$(HOST_OUT)/insn_libfuzzer: tests/host/insn_fuzz.c $(HOST_INSN_DEPS) | $(HOST_OUT)
	clang $(HOST_CFLAGS) $(HOST_SANITIZE) -fsanitize=fuzzer -o $@ $< module/decode/insn.c
