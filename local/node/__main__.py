"""The node's daemon: `python -m local.node`, started by `local.node.daemon`."""

from __future__ import annotations

import asyncio

from local.home import Home
from local.images import ImageStore
from local.node.server import serve

if __name__ == "__main__":
    home = Home.from_environment()
    asyncio.run(serve(home, ImageStore(home).resolve))
