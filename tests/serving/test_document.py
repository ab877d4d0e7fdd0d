"""The page's modules linked into one document, and the policy under which a browser runs it."""

import base64
import gzip
import hashlib
import re
from pathlib import Path

import pytest
import requests

from serving.document import LinkError, link, page
from tests.serving.conftest import Running


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder


def test_modules_are_functions_in_the_order_of_their_imports(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        main='import { b } from "./b.js";\nimport {\n  A,\n  later,\n} from "./a.js";\nb(A);\n',
        a="const own = 1;\nexport const A = own;\nexport async function later() {}\n",
        b='import { A } from "./a.js";\nconst own = 2;\nexport function b(x) {}\nexport class C {}\n',
        unused="export const D = 1;\n",
    )
    script = link(folder)
    assert re.findall(r"^const \$(\w+) =", script, re.MULTILINE) == ["a", "b", "main"]
    assert "const { A, later } = $a;" in script
    assert "return { A, later };" in script
    assert "return { b, C };" in script
    assert "import" not in script
    assert "export" not in script


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('import * as all from "./a.js";', "cannot be linked: import * as all"),
        ("export default 1;", "cannot be linked: export default 1;"),
        ("export let changed = 1;", "cannot be linked: export let"),
        ('import { main } from "./main.js";', "in a circle: main -> main"),
    ],
)
def test_what_cannot_be_linked_is_refused(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(LinkError, match=re.escape(says)):
        link(write(tmp_path, main=f"{line}\n", a=""))


def test_a_closing_tag_in_the_script_is_refused(tmp_path: Path) -> None:
    write(tmp_path, main="const tag = '</script>';\n")
    (tmp_path / "index.html").write_text("")
    (tmp_path / "page.css").write_text("")
    with pytest.raises(LinkError, match="closing tag"):
        page(tmp_path)


def test_the_policy_names_the_only_script_and_style() -> None:
    html, policy = page()
    for kind in ("script", "style"):
        (found,) = re.findall(rf"<{kind}[^>]*>(.*?)</{kind}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r'\s(?:on\w+|style)="', html)
    assert re.findall(r'(?:src|href)="(?!#)([^"]+)"', html) == ["page/icon.svg"]


def test_the_page_is_one_answer(server: Running) -> None:
    plain = requests.get(f"{server.url}/", headers={"accept-encoding": "identity"}, timeout=5)
    assert plain.headers["content-type"].startswith("text/html")
    assert plain.headers["content-security-policy"] == page()[1]
    assert plain.text == page()[0]
    packed = requests.get(f"{server.url}/", headers={"accept-encoding": "gzip"}, stream=True, timeout=5)
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.raw.read()).decode() == plain.text
    kept = requests.get(f"{server.url}/", headers={"if-none-match": plain.headers["etag"]}, timeout=5)
    assert (kept.status_code, kept.content) == (304, b"")
    icon = requests.get(f"{server.url}/page/icon.svg", timeout=5)
    assert icon.headers["content-type"].startswith("image/svg+xml")
    assert requests.get(f"{server.url}/page/main.js", timeout=5).status_code == 404
