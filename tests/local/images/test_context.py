"""Which files a COPY takes."""

import pytest

from local.images.context import Ignore, select
from local.images.errors import ImageError


@pytest.mark.parametrize(
    ("patterns", "ignored", "kept"),
    [
        (("a",), ["a", "a/b/c"], ["x/a", "ab"]),
        (("**/a",), ["a", "x/y/a", "x/a/b"], ["xa"]),
        (("*.md",), ["r.md"], ["docs/r.md"]),
        (("/a/*.t?t",), ["a/x.txt", "a/x.tet"], ["a/b/x.txt"]),
        (("docs", "!docs/keep.md"), ["docs/x"], ["docs/keep.md"]),
        (("# a", ""), [], ["a", "# a"]),
        ((), ["x/__pycache__/a.pyc", ".git/config", "a.pyc"], ["x/a.py", ".gitignore"]),
    ],
)
def test_dockerignore(patterns, ignored, kept):
    ignore = Ignore(patterns)
    assert [path for path in ignored if not ignore.ignores(path)] == []
    assert [path for path in kept if ignore.ignores(path)] == []


def test_takes_files_folders_and_globs_in_a_fixed_order(tmp_path):
    for name in ("a/y.py", "a/x.py", "a/deep/z.py", "a/__pycache__/x.pyc", "b.txt", "c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    ignore = Ignore(["c.txt"])
    assert [str(item.inside) for item in select(tmp_path, "./a/", ignore)] == ["x.py", "y.py", "deep/z.py"]
    assert [item.source.name for item in select(tmp_path, "*.txt", ignore)] == ["b.txt"]
    with pytest.raises(ImageError, match=r"'c.txt' matches no file .* or .dockerignore leaves it out"):
        select(tmp_path, "c.txt", ignore)


@pytest.mark.parametrize("target", ["b.txt", "folder"])
def test_refuses_symbolic_links(tmp_path, target):
    (tmp_path / "folder").mkdir()
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path / target)
    for source in ("a", "a/link"):
        with pytest.raises(ImageError, match="symbolic link"):
            select(tmp_path, source, Ignore())
