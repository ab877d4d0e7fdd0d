"""The rules as Pulumi's policy SDK takes them. The only module that knows the SDK."""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy.declared import UNKNOWN, Declared, Options, Rule, StackRule, Timeouts
from policy.rules import RULES, STACK_RULES, configured

NAME = "tts"


def serve() -> None:
    """Answers the Pulumi engine until it ends this process."""
    policies = [*map(_resource_policy, RULES), *map(_stack_policy, STACK_RULES)]
    PolicyPack(name=NAME, enforcement_level=EnforcementLevel.MANDATORY, policies=policies)


def _resource_policy(rule: Rule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        declared = _declared(args)
        for sentence in rule.check(declared, configured(rule.options, args.get_config())):
            report(sentence)

    return ResourceValidationPolicy(
        name=rule.name, description=rule.description, validate=validate, config_schema=_schema(rule.options)
    )


def _stack_policy(rule: StackRule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        declared = [_declared(each) for each in args.resources]
        for sentence, about in rule.check(declared, configured(rule.options, args.get_config())):
            report(sentence, about.urn)

    return StackValidationPolicy(
        name=rule.name, description=rule.description, validate=validate, config_schema=_schema(rule.options)
    )


def _declared(resource: ResourceValidationArgs | PolicyResource) -> Declared:
    options = resource.opts
    waits = options.custom_timeouts
    sources = getattr(resource, "property_dependencies", {})
    return Declared(
        type=resource.resource_type,
        name=resource.name,
        urn=resource.urn,
        properties=_plain(resource.props),
        timeouts=Timeouts(waits.create_seconds, waits.update_seconds, waits.delete_seconds),
        protected=bool(options.protect),
        sources={key: frozenset(each.urn for each in found) for key, found in sources.items()},
    )


def _plain(value: Any) -> Any:
    """A value as the SDK shows it, which raises where something is not known yet, as plain values."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(values: Any, key: Any) -> Any:
    try:
        return _plain(values[key])
    except UnknownValueError:
        return UNKNOWN


def _schema(options: Options) -> PolicyConfigSchema | None:
    return (
        PolicyConfigSchema(properties={key: dict(value) for key, value in options.items()})
        if options
        else None
    )
