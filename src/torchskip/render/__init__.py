"""Draw what was found: text, SVG, HTML and JSON, each from frozen values alone.

rich and jinja2 are imported by the functions that use them, so importing this package is free.
"""

from __future__ import annotations
