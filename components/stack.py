"""What Pulumi knows about the running stack, read once: its configuration and which of it is secret."""

from datetime import UTC, datetime
from pathlib import Path

from pulumi.runtime import config as runtime

from components.catalog import Catalog
from components.settings import Settings, parse_settings


def read_settings(root: Path) -> Settings:
    """The stack's settings against the catalog of the checkout at `root`.

    Raises SettingsError with every mistake."""
    values = {**runtime.get_config_env(), **runtime.CONFIG.get()}
    secret_keys = {*runtime.get_config_secret_keys_env(), *filter(runtime.is_config_secret, values)}
    return parse_settings(values, Catalog(root / "models"), now=datetime.now(UTC), secret_keys=secret_keys)
