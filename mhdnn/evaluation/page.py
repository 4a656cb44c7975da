"""A self-contained HTML page: its frame, its tables, its figures."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from mhdnn.evaluation.table import format_number

# The policy makes the browser refuse anything from outside, should some ever slip in.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1>{navigation}</header>
<main>
{body}
</main>
</body>
</html>
"""
_STYLE = """
:root { --ink: #22262c; --soft: #626a75; --line: #dfe3e8; --paper: #ffffff;
        --shade: #f5f7f9; --accent: #3b6ea8 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6ea; --soft: #98a1ad; --line: #363c45; --paper: #16191d;
          --shade: #1f242a; --accent: #8ab4e8 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; color: var(--ink); background: var(--paper);
       font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: 0 0 .3rem } h2 { margin: 2.4rem 0 .6rem; font-size: 1.25rem;
     border-bottom: 1px solid var(--line) } h3 { margin: 1.4rem 0 .4rem; font-size: 1rem; color: var(--soft) }
nav a { color: var(--accent); margin-right: 1.1rem; text-decoration: none }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .28rem .8rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child, td.text, th.text { text-align: left }
thead th { color: var(--soft); font-weight: 600; background: var(--shade) } small { font-weight: 400 }
tbody tr:hover { background: var(--shade) }
.figures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)) }
figure { margin: 0 0 1rem; background: #fff; border: 1px solid var(--line); border-radius: 6px;
         padding: .5rem }
figure img { display: block; width: 100%; height: auto; max-width: 62rem; margin: 0 auto }
.columns { display: flex; flex-wrap: wrap; gap: 0 2.5rem }
"""


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]], text_columns: int = 1) -> str:
    """An HTML table; every cell is escaped, numbers are formatted.

    :param text_columns: so many columns from the left are aligned left
    """

    def cell(tag: str, value: object, column: int) -> str:
        shown = format_number(value) if value is None or isinstance(value, (int, float)) else str(value)
        style = ' class="text"' if column < text_columns else ""
        return f"<{tag}{style}>{escape(shown)}</{tag}>"

    head = "".join(cell("th", name, column) for column, name in enumerate(header))
    body = "".join(
        "<tr>" + "".join(cell("td", value, column) for column, value in enumerate(row)) + "</tr>\n" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n'


def html_figure(png: bytes, description: str) -> str:
    """A figure with the image inside the page.

    :param description: what a reader who can't see the image is told
    """
    encoded = base64.b64encode(png).decode("ascii")
    return f'<figure><img alt="{escape(description)}" src="data:image/png;base64,{encoded}"></figure>\n'


def html_section(anchor: str, heading: str, body: str) -> str:
    """A section that the page's navigation can point to; the body is HTML."""
    return f'<section><h2 id="{escape(anchor)}">{escape(heading)}</h2>\n{body}</section>\n'


def html_page(title: str, links: Mapping[str, str], body: str) -> str:
    """The whole page.

    :param links: navigation, heading of each anchor
    :param body: HTML
    """
    navigation = "".join(f'<a href="#{escape(anchor)}">{escape(heading)}</a>' for anchor, heading in links.items())
    return _PAGE.format(title=escape(title), style=_STYLE, navigation=f"<nav>{navigation}</nav>", body=body)
