"""What notebooks show of a model, and of the accessor."""

import html
from collections.abc import Mapping


def html_table(caption: str, rows: Mapping[str, object]) -> str:
    """Return a table of HTML with a caption and two columns: a name and what there is to say."""
    cells = "".join(
        f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table><caption>{html.escape(caption)}</caption>{cells}</table>"
