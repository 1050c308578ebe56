# SPDX-License-Identifier: GPL-2.0-only
"""A lab's questions, commands and outputs as Sphinx directives.

On the page labs/N-NAME, which belongs to labs/N-NAME/lab.json:

``.. lab-head::``
    how long it takes, what it needs, how to start it
``.. lab-step:: STEP``
    what the step asks, and behind a fold what its commands printed in a guest of 6.12
``.. lab-output:: STEP SERIES``
    what they printed on another kernel (6.1), or again (6.12)
``.. lab-answers::``
    for the teacher: of every question the right answer, and what is said to wrong ones

``:figure:`NAME``` and ``:figure:`NAME@6.1``` are figures. Of all this nothing is typed a second
time: lab.json is what 'ktramp lab' asks and judges by, outputs and figures are what
Documentation/make-labs left.
"""
import json
import os
import re

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SHOWN = "6.12"


def text_of(value):
    if not isinstance(value, list):
        return value or ""
    text, begun = "", False
    for line in value:
        text += ("\n\n" if not line else " " if begun else "") + line
        begun = bool(line)
    return text


class Lab:
    """The lab of a page, whose teacher's note is a page below teacher/."""

    def __init__(self, environment):
        name = environment.docname.replace("labs/teacher/", "labs/")
        self.directory = os.path.join(HERE, name)
        path = os.path.join(self.directory, "lab.json")
        figures = os.path.join(self.directory, "figures.jsonl")
        environment.note_dependency(path)
        environment.note_dependency(figures)
        with open(path, encoding="utf-8") as file:
            self.data = json.load(file)
        self.number = self.data["lab"]
        self.kept = {}
        with open(figures, encoding="utf-8") as file:
            for line in map(json.loads, file):
                series = re.sub(r"^(\d+\.\d+)\..*", r"\1", line["kernel"])
                self.kept[line["name"], series] = line["value"]

    def figure(self, name, series=SHOWN):
        return self.kept.get((name, series)) or self.kept.get((name, "host"))

    def fill(self, text):
        return re.sub(r"\{([\w-]+)\}", lambda m: self.figure(m.group(1)) or m.group(0),
                      text_of(text))

    def step(self, number):
        if not 1 <= number <= len(self.data["steps"]):
            raise ValueError("lab %d has no step %d" % (self.number, number))
        return self.data["steps"][number - 1]

    def output(self, environment, number, series):
        where = self.step(number).get("where", "guest")
        path = os.path.join(self.directory, "host" if where == "host" else series,
                            "%d.txt" % number)
        environment.note_dependency(path)
        with open(path, encoding="utf-8") as file:
            return file.read()


class LabDirective(Directive):
    @property
    def environment(self):
        return self.state.document.settings.env

    def parse(self, lines):
        found = nodes.container()
        self.state.nested_parse(StringList(lines, self.environment.docname), 0, found)
        return found.children

    def build(self, lab):
        raise NotImplementedError

    def run(self):
        try:
            return self.build(Lab(self.environment))
        except (OSError, ValueError, KeyError) as error:
            raise self.error("lab: %s" % error)


def literal(text):
    block = nodes.literal_block(text, text)
    block["language"] = "none"
    return block


def folded(summary, blocks):
    """Folded up in a browser, so that the prediction comes first."""
    begin = "<details class=\"lab\"><summary>%s</summary>" % summary
    return ([nodes.raw("", begin, format="html")] + blocks +
            [nodes.raw("", "</details>", format="html")])


class LabHead(LabDirective):
    def build(self, lab):
        data = lab.data
        lines = [":Goal: " + lab.fill(data["goal"]),
                 ":Takes: %d minutes" % data["minutes"],
                 ":Start: ``make lab LAB=%d``" % lab.number]
        if data.get("needs"):
            lines.append(":Know: " + lab.fill(data["needs"]))
        own = os.path.join(lab.directory, "files")
        names = sorted(os.listdir(own)) if os.path.isdir(own) else []
        names += [os.path.basename(name) for name in data.get("files", [])]
        if names:
            lines.append(":Files: in ``/labs/%d``: %s" %
                         (lab.number, ", ".join("``%s``" % name for name in names)))
        return self.parse(lines)


def choices(lab, step):
    lines = []
    for index, choice in enumerate(step.get("choices", [])):
        lines += ["%s. %s" % (chr(ord("a") + index), lab.fill(choice["text"]))]
    return lines


HOW = {"choice": "LETTER", "number": "NUMBER", "bytes": "'BYTES'", "set": "'ONE, ANOTHER, ...'",
       "word": "'ANSWER'"}


class LabStep(LabDirective):
    required_arguments = 1

    def build(self, lab):
        number = int(self.arguments[0])
        step = lab.step(number)
        found = []
        if "ask" in step:
            box = nodes.admonition(classes=["lab-question"])
            box += nodes.title("", "Predict")
            lines = lab.fill(step["ask"]).split("\n") + [""] + choices(lab, step)
            box += self.parse(lines + ["", "``ktramp lab check %d %d %s``" %
                                       (lab.number, number, HOW[step["kind"]])])
            found.append(box)
        if step.get("run"):
            output = literal(lab.output(self.environment, number, SHOWN))
            where = {"host": "On the host, in the source tree",
                     "trace": "The guest, with its x-rays"}.get(step.get("where"), "The guest")
            found += folded("%s (<code>ktramp lab run %d %d</code>)" % (where, lab.number, number),
                            [output])
        return found


class LabOutput(LabDirective):
    required_arguments = 2

    def build(self, lab):
        number, series = int(self.arguments[0]), self.arguments[1]
        return folded("The same on Linux %s" % series,
                      [literal(lab.output(self.environment, number, series))])


class LabAnswers(LabDirective):
    def right(self, lab, step):
        value = step.get("value")
        if step["kind"] == "choice":
            return ", ".join("``%s``" % chr(ord("a") + i)
                             for i, choice in enumerate(step["choices"]) if choice.get("right"))
        if step["kind"] == "word":
            return ", ".join("``%s``" % word for word in step["accept"] + step.get("try", [])
                             if not word.startswith("/"))
        if step["kind"] == "set":
            return ", ".join("``%s``" % word for word in step["try"][:1])
        if isinstance(value, str) and value.startswith("@"):
            name = value[1:]
            other = lab.figure(name, "6.1")
            return "``%s``" % lab.figure(name) + (
                " (6.1: ``%s``)" % other if other and other != lab.figure(name) else "")
        return "``%s``" % value

    def wrong(self, lab, step):
        lines = []
        for index, choice in enumerate(step.get("choices", [])):
            if not choice.get("right"):
                lines.append("- ``%s``: %s" % (chr(ord("a") + index), lab.fill(choice["why"])))
        for entry in step.get("wrong", []):
            said = ["``%s``" % word for word in entry.get("answers", []) + entry.get("try", [])
                    if not word.startswith("/")]
            if isinstance(entry.get("value"), str):
                said.append("``%s``" % lab.figure(entry["value"][1:]))
            if entry.get("less") or entry.get("more"):
                said = ["less" if entry.get("less") else "more"]
            lines.append("- %s: %s" % (", ".join(said), lab.fill(entry["why"])))
        if step.get("otherwise"):
            lines.append("- anything else: " + lab.fill(step["otherwise"]))
        return [line.replace("\n\n", " ") for line in lines]

    def build(self, lab):
        lines = []
        for number, step in enumerate(lab.data["steps"], 1):
            if "ask" not in step:
                continue
            lines += ["**%d.%d %s.** %s" % (lab.number, number, step["title"],
                                            lab.fill(step["ask"]).replace("\n\n", " ")), ""]
            lines += choices(lab, step) + ["", "*Right:* %s. %s" % (
                self.right(lab, step), lab.fill(step.get("right")).replace("\n\n", " ")), ""]
            lines += self.wrong(lab, step) + [""]
        return self.parse(lines)


def figure_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    figure, _, series = text.partition("@")
    try:
        value = Lab(inliner.document.settings.env).figure(figure, series or SHOWN)
    except OSError as error:
        value, figure = None, str(error)
    if value is None:
        message = inliner.reporter.error("lab: no figure '%s'" % figure, line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    return [nodes.Text(value)], []


def setup(app):
    app.add_directive("lab-head", LabHead)
    app.add_directive("lab-step", LabStep)
    app.add_directive("lab-output", LabOutput)
    app.add_directive("lab-answers", LabAnswers)
    app.add_role("figure", figure_role)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
