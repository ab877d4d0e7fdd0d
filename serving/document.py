"""The page as one document: its style and its modules are put into the HTML when the server starts.

While two revisions are served, each request may be answered by either of them: files fetched one by one
would mix two pages. One document cannot be mixed, and its policy names the only script and style by hash.
"""

import base64
import gzip
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, Response

_FOLDER = Path(__file__).parent / "page"
_STYLE = '<link rel="stylesheet" href="page/page.css">'
_SCRIPT = '<script src="page/main.js" type="module"></script>'
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([a-z-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|function|async function) (\w+))", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class LinkError(Exception):
    """The page's modules are written in a way that cannot be put into one script."""


def link(folder: Path, entry: str = "main") -> str:
    """The modules that `entry` needs as one script: each a function of its own, what it needs before it.

    Raises LinkError for a circle of imports, and for imports and exports of other forms than
    `import { a, b } from "./name.js";` and `export const`, `class` or `function`."""
    return "".join(
        f"const {_variable(name)} = (() => {{\n{body}return {{ {', '.join(exports)} }};\n}})();\n"
        for name, body, exports in _modules(folder, entry, set(), ())
    )


def _modules(
    folder: Path, name: str, done: set[str], above: tuple[str, ...]
) -> Iterator[tuple[str, str, list[str]]]:
    if name in above:
        raise LinkError(f"The page's modules import one another in a circle: {' -> '.join((*above, name))}.")
    if name in done:
        return
    source = (folder / f"{name}.js").read_text(encoding="utf-8")
    for _, needed in _IMPORT.findall(source):
        yield from _modules(folder, needed, done, (*above, name))
    done.add(name)
    exports = _EXPORT.findall(source)
    body = _EXPORT.sub("", _IMPORT.sub(lambda found: _import(*found.groups()), source))
    if left := _LEFT.search(body):
        raise LinkError(f"The page's module {name}.js has a line that cannot be linked: {left.group()}")
    yield name, body, exports


def _import(names: str, module: str) -> str:
    return f"const {{ {', '.join(names.replace(',', ' ').split())} }} = {_variable(module)};\n"


def _variable(module: str) -> str:
    return f"${module.replace('-', '_')}"


def page(folder: Path = _FOLDER) -> tuple[str, str]:
    """The HTML document, and the Content-Security-Policy under which it works."""
    html = (folder / "index.html").read_text(encoding="utf-8")
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = link(folder)
    if "</script" in script or "</style" in style:
        raise LinkError("The page's script or style holds a closing tag, which would end it early.")
    html = html.replace(_STYLE, f"<style>{style}</style>")
    html = html.replace(_SCRIPT, f'<script type="module">{script}</script>')
    rules = (
        "default-src 'none'",
        f"script-src '{_hash(script)}'",
        f"style-src '{_hash(style)}'",
        "connect-src 'self'",
        "img-src 'self'",
        "media-src blob:",  # a recording, heard before it is sent
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
    return html, "; ".join(rules)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def install(app: FastAPI) -> None:
    """Has `app` answer `/` with the page."""
    html, policy = page()
    content = html.encode()
    packed = gzip.compress(content, mtime=0)
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-cache",
        "etag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
        "referrer-policy": "no-referrer",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }

    @app.get("/", include_in_schema=False)
    async def document(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers={**headers, "content-encoding": "gzip"}, media_type="text/html")
        return Response(content, headers=headers, media_type="text/html")

    @app.get("/page/icon.svg", include_in_schema=False)
    async def icon() -> Response:
        return FileResponse(_FOLDER / "icon.svg")
