"""What a Dockerfile takes along, without building it."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def unpack(dockerfile: Path, folder: Path) -> None:
    """Carries out the COPY lines from the checkout below `folder`; those from another stage it leaves."""
    for line in dockerfile.read_text().splitlines():
        if not line.startswith("COPY ") or "--from=" in line:
            continue
        *sources, target = [word for word in line.split()[1:] if not word.startswith("--")]
        into = folder / target.strip("/")
        into.mkdir(parents=True, exist_ok=True)
        for file in (file for source in sources for file in ROOT.glob(source)):
            if file.is_dir():
                shutil.copytree(file, into, dirs_exist_ok=True)
            else:
                shutil.copy(file, into)
