"""Configuration of the documentation. It builds offline: `make docs`."""

import importlib
import inspect
import pkgutil
from importlib.metadata import version as installed_version

from sphinx.errors import ExtensionError

import xdvarnet

project = "xdvarnet"
author = "xdvarnet developers"
copyright = "2026, xdvarnet developers"
release = installed_version("xdvarnet")
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "recipes", "results/*_tables.md"]
default_role = "py:obj"  # `name` in a docstring is a link where there is a page for it

# The pages follow __all__ of the package and its subpackages, lazily loaded names included.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autosummary_context = {"daily": xdvarnet.__all__}  # described there, not in the subpackages again
autodoc_typehints = "none"  # the docstrings give the types
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": "../gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)demo\.py$",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "matplotlib_animations": True,
}

html_theme = "pydata_sphinx_theme"
html_title = f"xdvarnet {release}"
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}


def check_public_names(app, env):
    """Fail where a public class or function of the package or a subpackage has no page."""
    known = set(env.get_domain("py").objects)
    missing = []
    for info in pkgutil.walk_packages(xdvarnet.__path__, "xdvarnet."):
        if not info.ispkg:
            continue
        part = importlib.import_module(info.name)
        for name in vars(part).get("__all__", []):
            public = getattr(part, name)
            described = {f"xdvarnet.{name}", f"{part.__name__}.{name}"} & known
            if (inspect.isclass(public) or inspect.isfunction(public)) and not described:
                missing.append(f"{part.__name__}.{name}")
    if missing:
        raise ExtensionError(f"public names without a page: {', '.join(missing)}")


def setup(app):
    app.connect("env-check-consistency", check_public_names)
