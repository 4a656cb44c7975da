"""Settings of the documentation: scripts/docs.sh builds it."""

import mhdnn

project = "mhdnn"
author = "the mhdnn developers"
release = version = mhdnn.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.viewcode", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"mhdnn {release}"
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
nitpicky = False
