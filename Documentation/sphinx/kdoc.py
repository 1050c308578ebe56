# SPDX-License-Identifier: GPL-2.0-only
"""Kernel-doc comments of module/uapi/ktramp.h as Sphinx directives.

``.. uapi:: struct ktramp_info`` prints the comment of a struct or an enum, its members in a
table. ``.. uapi-defines:: KTRAMP_RUN_`` prints the constants that begin so. The header is the
only text: nothing of it is typed a second time.
"""
import os
import re

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

HEADER = os.path.join(os.path.dirname(__file__), "..", "..", "module", "uapi", "ktramp.h")

BLOCK = re.compile(r"/\*\*\n((?: \*.*\n)+?) \*/\n((struct|enum) \w+) \{\n((?:\t.*\n)*)\};")
MEMBER = re.compile(r"@(\w+): *(.*)")
FIELD = re.compile(r"\t([\w ]+?) (\w+)((?:\[\w+\])?);")
CONSTANT = re.compile(r"\t(\w+)\s*= (\w+),(?:\s*/\* (.*) \*/)?")
DEFINE = re.compile(r"(?:^/\* ([^\n]*(?:\n \*[^\n]*)*?) \*/\n)?"
                    r"((?:^#define\t?[ \t]*KTRAMP_\w+\s+\S.*\n)+)", re.M)
ONE_DEFINE = re.compile(r"#define\s+(KTRAMP_\w+)\s+(.*?)(?:\s*/\* (.*) \*/)?$")
WORD = re.compile(r"(@\w+|%\w+|&(?:struct |enum )?\w+(?:\.\w+)?|-E[A-Z0-9]+\b|"
                  r"\b[A-Z]+_[A-Z0-9_]+\*?)")


class Block:
    """A struct or enum: its comment taken apart, and its members."""

    def __init__(self, match):
        self.kind = match.group(3)
        self.name = match.group(2)
        lines = [line[3:].rstrip() for line in match.group(1).splitlines()]
        self.short = lines[0].split(" - ", 1)[1]
        self.said = {}
        self.text = []
        member = None
        for line in lines[1:]:
            found = MEMBER.match(line)
            if found:
                member = found.group(1)
                self.said[member] = found.group(2)
            elif not line:
                member = None
                self.text.append("")
            elif member:
                self.said[member] += " " + line.strip()
            else:
                self.text.append(line.strip())
        self.body = match.group(4)

    def members(self):
        if self.kind == "struct":
            return [("%s %s%s" % found.groups(), self.said[found.group(2)])
                    for found in FIELD.finditer(self.body)]
        return [("%s = %s" % found.group(1, 2),
                 self.said.get(found.group(1)) or found.group(3) or "")
                for found in CONSTANT.finditer(self.body)]


def read_header():
    with open(HEADER, encoding="utf-8") as file:
        return file.read()


def read_blocks():
    return {block.name: block for block in map(Block, BLOCK.finditer(read_header()))}


def read_defines(prefix):
    """The comment above the constants that begin with prefix, and their (name, value, comment)."""
    found, above = [], ""
    for group in DEFINE.finditer(read_header()):
        for line in group.group(2).splitlines():
            name, value, said = ONE_DEFINE.match(line).groups()
            if name.startswith(prefix):
                above = re.sub(r"\n \* ?", " ", group.group(1) or "")
                found.append((name, value, said or ""))
    return above, found


def rst(text):
    """Plain text of a comment, names as literals."""
    parts = WORD.split(text)
    for i, part in enumerate(parts):
        if i % 2:
            # Escaped blanks: a literal may touch what is around it.
            parts[i] = "\\ ``%s``\\ " % part.lstrip("@%&")
        else:
            parts[i] = re.sub(r"([\\*`_|])", r"\\\1", part)
    return "".join(parts)


def table(rows, widths):
    lines = [".. list-table::", "   :widths: " + widths, ""]
    for name, said in rows:
        lines += ["   * - ``%s``" % name, "     - %s" % rst(said)]
    return lines + [""]


class FromHeader(Directive):
    required_arguments = 1
    final_argument_whitespace = True

    def parsed(self, lines):
        settings = self.state.document.settings
        if hasattr(settings, "env"):
            settings.env.note_dependency(os.path.abspath(HEADER))
        node = nodes.container()
        self.state.nested_parse(StringList(lines, source=HEADER), self.content_offset, node)
        return node.children


class Uapi(FromHeader):
    def run(self):
        block = read_blocks().get(self.arguments[0])
        if not block:
            raise self.error("no '%s' in module/uapi/ktramp.h" % self.arguments[0])
        lines = ["``%s``: %s" % (block.name, rst(block.short)), ""]
        lines += table(block.members(), "45 55")
        paragraphs = "\n".join(block.text).strip().split("\n\n")
        for paragraph in paragraphs:
            lines += [rst(paragraph.replace("\n", " ")), ""]
        return self.parsed(lines)


class UapiDefines(FromHeader):
    def run(self):
        above, found = read_defines(self.arguments[0])
        if not found:
            raise self.error("no %s* in module/uapi/ktramp.h" % self.arguments[0])
        return self.parsed([rst(above), ""] + table([("%s = %s" % (name, value), said)
                                                     for name, value, said in found], "45 55"))


def setup(app):
    app.add_directive("uapi", Uapi)
    app.add_directive("uapi-defines", UapiDefines)
    return {"parallel_read_safe": True}
