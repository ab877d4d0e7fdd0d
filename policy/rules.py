"""Every rule of the pack."""

from typing import Any

from policy import budgets, capacity, clusters, images, restricted, storage
from policy.declared import Options, Rule, StackRule

RULES: tuple[Rule, ...] = (
    *images.RULES,
    *restricted.RULES,
    *budgets.RULES,
    *capacity.RULES,
    *storage.RULES,
    *clusters.RULES,
)
STACK_RULES: tuple[StackRule, ...] = (*capacity.STACK_RULES, *storage.STACK_RULES)


def configured(options: Options, given: Any) -> dict[str, Any]:
    """What a pack's configuration says about a rule, with the defaults of what it leaves out."""
    return {key: schema["default"] for key, schema in options.items()} | dict(given or {})
