# SPDX-License-Identifier: GPL-2.0-only
# Sphinx: how the documentation is built. `make doc` runs it.
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Products go to .output, also Python's.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "sphinx"))

with open(os.path.join(HERE, "..", "module", "main.c"), encoding="utf-8") as main:
    release = re.search(r'MODULE_VERSION\("(.*)"\)', main.read()).group(1)

project = "ktramp"
version = release
extensions = ["bench", "kdoc", "lab", "sphinx.ext.graphviz"]
graphviz_output_format = "svg"
exclude_patterns = ["diagrams", "samples", "sphinx"]
highlight_language = "none"
smartquotes = False

html_theme = "alabaster"
html_theme_options = {
    "description": "kernel trampolines, and what each one costs",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
html_static_path = ["sphinx/static"]
html_copy_source = False
html_show_copyright = False
