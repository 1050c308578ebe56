# SPDX-License-Identifier: GPL-2.0-only
"""Figures of samples/bench-*.txt in a text, and rows of them.

``.. bench-rows:: MECHANISM...``
    these rows of the table of 6.12, with its head
``:insns:`MECHANISM```, ``:insns:`MECHANISM@6.1```
    instructions of one hit. A row that has none, or that there is not, is an error
"""
import os

from docutils import nodes
from docutils.parsers.rst import Directive

SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "samples")
SHOWN = "6.12"


def table(series, environment):
    path = os.path.join(SAMPLES, "bench-%s.txt" % series)
    environment.note_dependency(path)
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


class BenchRows(Directive):
    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        lines = table(SHOWN, self.state.document.settings.env)
        rows = {line.split()[0]: line for line in lines[2:]}
        wanted = self.arguments[0].split()
        missing = [name for name in wanted if name not in rows]
        if missing:
            raise self.error("no row '%s' in bench-%s.txt" % (missing[0], SHOWN))
        text = "\n".join([lines[1]] + [rows[name] for name in wanted])
        block = nodes.literal_block(text, text)
        block["language"] = "none"
        return [block]


def insns_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    mechanism, _, series = text.partition("@")
    lines = table(series or SHOWN, inliner.document.settings.env)
    row = next((line.split() for line in lines if line.startswith(mechanism + " ")), None)
    if not row or not row[2].isdigit():
        message = inliner.reporter.error("bench: no figure of '%s'" % text, line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    return [nodes.Text(row[2])], []


def setup(app):
    app.add_directive("bench-rows", BenchRows)
    app.add_role("insns", insns_role)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
