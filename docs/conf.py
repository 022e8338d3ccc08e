"""The site: `make docs` builds it into site/; warnings are errors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generated_pages import write_generated_pages

from passerby.version import __version__

project = "passerby"
version = release = __version__
html_title = f"passerby {__version__}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"
html_show_sphinx = False
exclude_patterns = ["generated_pages.py"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True
suppress_warnings = ["ref.python"]  # `dim` in a docstring is a word, not a reference to one of two attributes
copybutton_prompt_text = r"\$ "


def setup(app: object) -> None:
    """Write the pages that are made of the package itself before Sphinx reads."""
    write_generated_pages(Path(__file__).parent / "reference")
