"""The policy pack as `pulumi preview --policy-pack policy` starts it: it serves until it is ended."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _load() -> None:
    """Makes this folder the package `policy`, wherever it lies and whatever it is called."""
    spec = spec_from_file_location("policy", _HERE / "__init__.py", submodule_search_locations=[str(_HERE)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{_HERE} cannot be loaded as a package: its __init__.py is missing.")
    package = module_from_spec(spec)
    sys.modules["policy"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _load()
    from policy.pack import serve

    serve()
