"""Examples in the README, the docs and the docstrings are tests."""

import os

# The tests' tensors are small: a second thread costs more than it brings. Before torch starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

_pages = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
)
_docstrings = Sybil(
    parsers=[DocTestParser()],
    pattern="src/torchskip/**/*.py",
    document_types={".py": PythonDocStringDocument},
)

pytest_collect_file = (_pages + _docstrings).pytest()
