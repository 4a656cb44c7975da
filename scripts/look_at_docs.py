"""Look at the built documentation in a headless Chromium, in a narrow and a wide window.

    python scripts/look_at_docs.py docs/_build/html [--screenshots FOLDER] [PAGE ...]

For each page: what is wider than the window, text with a contrast below 4.5 (3 where it is large), images without a
text in their place, headings that skip a level or are more than one of the first. Exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import functools
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

WIDTHS = (390, 1300)
HARNESS = """<!doctype html><body style="margin:0">
<iframe id=page src="{page}" style="width:{width}px;height:2000px;border:0"></iframe><pre id=found></pre><script>
{script}
page.onload = () => setTimeout(() => {{ found.textContent = JSON.stringify(look(page.contentWindow)); }}, 300);
</script>"""
SCRIPT = r"""
const named = e => e.tagName.toLowerCase() + (e.className && e.className.split ? "." + e.className.split(" ")[0] : "")
  + " '" + (e.textContent || "").trim().slice(0, 40) + "'";
function channels(color) { const c = color.match(/[\d.]+/g).map(Number); return c.length < 4 ? [...c, 1] : c; }
function luminance(c) {
  const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function background(window, e) {
  for (; e; e = e.parentElement) {
    const c = channels(window.getComputedStyle(e).backgroundColor);
    if (c[3] > 0.9) return c;
  }
  return [255, 255, 255, 1];
}
function look(window) {
  const document = window.document, found = [], width = document.documentElement.clientWidth;
  const seen = e => e.offsetParent !== null && window.getComputedStyle(e).visibility === "visible";
  const needed = document.documentElement.scrollWidth;
  if (needed > width + 1) found.push("page is " + needed + " wide");
  const scrolls = e => {
    for (; e; e = e.parentElement) if (/auto|scroll|hidden/.test(window.getComputedStyle(e).overflowX)) return true;
  };
  const wide = e => seen(e) && e.getBoundingClientRect().right > width + 1 && !scrolls(e);
  const first_wide = [...document.querySelectorAll("article *")].find(wide);
  if (first_wide) found.push("too wide: " + named(first_wide));
  for (const e of document.querySelectorAll("img"))
    if (!e.alt.trim()) found.push("no text for " + e.getAttribute("src"));
  let before = 0, first = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const level = Number(e.tagName[1]);
    if (level > before + 1) found.push("heading skips a level: " + named(e));
    first += level === 1; before = level;
  }
  if (first !== 1) found.push(first + " headings of the first level");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), done = new Set();
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !seen(e) || e.closest("svg")) continue;
    const style = window.getComputedStyle(e), size = parseFloat(style.fontSize);
    if (channels(style.color)[3] < 0.1) continue;
    const [a, b] = [luminance(channels(style.color)), luminance(background(window, e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const kind = style.color + named(e).split(" ")[0];
    if (contrast < (large ? 3 : 4.5) && !done.has(kind)) {
      done.add(kind); found.push("contrast " + contrast.toFixed(2) + ": " + named(e));
    }
  }
  return found;
}
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def chromium() -> str:
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if name and shutil.which(name):
            return name
    sys.exit("look_at_docs: no Chromium was found (Debian, Ubuntu: apt install chromium); name one with CHROMIUM=...")


def browse(address: str, profile: str, width: int, *options: str) -> str:
    command = [
        chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={profile}",
        f"--window-size={max(width, 500)},2000", "--virtual-time-budget=8000", *options, address,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("pages", nargs="*", help="such as install.html; default: all")
    parser.add_argument("--screenshots", type=Path)
    arguments = parser.parse_args()
    site = arguments.site.resolve()
    others = ("search", "genindex", "py-modindex")
    pages = arguments.pages or sorted(path.name for path in site.glob("*.html") if path.stem not in others)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    faults = 0
    with tempfile.TemporaryDirectory() as profile:
        for page in pages:
            for width in WIDTHS:
                harness = site / f"_look_{width}.html"
                harness.write_text(HARNESS.format(page=page, width=width, script=SCRIPT))
                address = f"http://127.0.0.1:{server.server_port}/{harness.name}"
                pictures = []
                if arguments.screenshots:
                    arguments.screenshots.mkdir(parents=True, exist_ok=True)
                    picture = arguments.screenshots.resolve() / f"{Path(page).stem}_{width}.png"
                    browse(address, profile, width, f"--screenshot={picture}")
                    pictures = [str(picture)]
                dom = browse(address, profile, width, "--dump-dom")
                harness.unlink()
                text = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
                found = json.loads(html.unescape(text[1])) if text and text[1] else ["could not be looked at"]
                faults += len(found)
                print(f"{page} {width}: {'; '.join(found) or 'fine'}", *pictures, flush=True)
    server.shutdown()
    sys.exit(min(faults, 1))


if __name__ == "__main__":
    main()
