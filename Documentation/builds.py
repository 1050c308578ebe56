# SPDX-License-Identifier: GPL-2.0-only
"""Compare what a page keeps of a command's output with what the command prints today.

Of the same build of a kernel both are the same, but for where the module and its data were
allocated. Of another build of the same series the text is the same and the digits may differ: so
a page is not wrong because Debian published a kernel. What the kernel is made of, its
instructions and the names of its functions, is digits in this sense.
"""
import difflib
import re

# What may differ between two builds of the module: where it was loaded, where data and stacks are
# (the direct map, vmalloc), and hence the displacements of branches and of RIP-relative operands,
# return addresses that are pushed, and the per-CPU offset of a counter.
MODULE_ADDRESS = re.compile(r"\b(0x)?ffffffffc[0-9a-f]{7}\b")
DATA = re.compile(r"\b(0x)?(ffff88|ffffc9)[0-9a-f]{10}\b")
BRANCH = re.compile(r"\b(e8|e9|0f 8[0-9a-f])( [0-9a-f]{2}){4}\b")
COUNTER = re.compile(r"\b(bf)( [0-9a-f]{2}){4}( +mov\w* \$)0x[0-9a-f]+")
RETURN = re.compile(r"\b68( [0-9a-f]{2}){4}( +pushq \$-)0x3f[0-9a-f]{6}\b")
# The number is made of what was loaded before; the name of the ftrace trampolines' module, too, is
# known or not by when it was asked for.
TRAMPOLINE = re.compile(r"\bbpf_trampoline_[0-9]+\b")
RIP = re.compile(r"((?: [0-9a-f]{2})+)( +\S.*?)-?0x[0-9a-f]+\(%rip\)")

RELEASE = re.compile(r"\b\d+\.\d+\.\d+[-+.\w]*-amd64\b")
# A program's tag is made of its instructions, which hold offsets of the kernel's fields.
TAG = re.compile(r"\bbpf_prog_[0-9a-f]{16}_")
BYTES = re.compile(r"(?<![\w.])(?:[0-9a-f]{2}|\.\.)(?: (?:[0-9a-f]{2}|\.\.))+(?!\w)")
HEX = re.compile(r"\b(?:0x[0-9a-f]+|(?=[a-f]*\d)[0-9a-f]{2,})\b")
# The digits of a name (int3) are no figure.
NUMBER = re.compile(r"(?<![A-Za-z_\d])\d[\d,]*(?:\.\d+)?")

# A line of a listing, and one of a trace's functions: counts, and a name.
CODE = re.compile(r"\+0x[0-9a-f]+ +(?:[0-9a-f]{2} )+ *\S")
FUNCTION = re.compile(r"^ *[-+]?\d+ +\d+ +\S")


def normal(text):
    """@text without what differs between two builds of the module."""
    text = BRANCH.sub(lambda m: m.group(1) + " .." * 4, text)
    text = COUNTER.sub(lambda m: m.group(1) + " .." * 4 + m.group(3) + "...", text)
    text = TRAMPOLINE.sub("bpf_trampoline_...", text).replace(" [__builtin__ftrace]", "")
    text = RETURN.sub(lambda m: "68" + " .." * 4 + m.group(2) + "...", text)
    text = RIP.sub(lambda m: " .." * (len(m.group(1)) // 3) + m.group(2) + "...(%rip)", text)
    text = MODULE_ADDRESS.sub(lambda m: (m.group(1) or "") + "ffffffffc.......", text)
    return DATA.sub(lambda m: (m.group(1) or "") + m.group(2) + "..........", text)


def words(line):
    """@line without its digits, and without the blanks that make room for them."""
    line = TAG.sub("bpf_prog_0_", RELEASE.sub("RELEASE", line))
    line = NUMBER.sub("0", HEX.sub("0", BYTES.sub("0", line)))
    return " ".join(line.split())


def is_kernels(line):
    """Whether what @line says is what a build of the kernel is made of."""
    return bool(CODE.search(line) or FUNCTION.match(line))


def without_release(line):
    return " ".join(RELEASE.sub("RELEASE", line).split())


def first_difference(old, new):
    """[] or what is kept and what is printed, where they begin to differ."""
    if old == new:
        return []
    at = next((i for i, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    return ["from line %d on" % (at + 1),
            "kept: %s" % (old[at] if at < len(old) else "(its end)"),
            "now:  %s" % (new[at] if at < len(new) else "(its end)")]


def side_by_side(old, new):
    """@old and @new as far as both go, then the rest of the longer one."""
    for i in range(max(len(old), len(new))):
        yield old[i] if i < len(old) else "(nothing)", new[i] if i < len(new) else "(nothing)"


def compare(kept, now, same_build):
    """
    Return (wrong, changed): lines that say where @now is not what was @kept, and, of two builds of
    a kernel, what of its digits changed.
    """
    old, new = normal(kept).splitlines(), normal(now).splitlines()
    if same_build:
        return first_difference(old, new), []
    changed = []
    matcher = difflib.SequenceMatcher(None, [words(line) for line in old],
                                      [words(line) for line in new], autojunk=False)
    for what, i, i_end, j, j_end in matcher.get_opcodes():
        mine, its = old[i:i_end], new[j:j_end]
        if what != "equal" and not all(map(is_kernels, mine + its)):
            return ["from line %d on" % (i + 1)] + \
                   ["kept: %s" % line for line in mine[:4] or ["(nothing)"]] + \
                   ["now:  %s" % line for line in its[:4] or ["(nothing)"]], []
        changed += ["'%s', was '%s'" % (" ".join(b.split()), " ".join(a.split()))
                    for a, b in side_by_side(mine, its) if without_release(a) != without_release(b)]
    return [], changed
