"""How a field of a component says what it means, and what it takes, in YAML's JSON schema.

Dagster lets every field be a template, and so takes any text for a number or a choice. The limits stand beside the type
in the JSON schema: a pattern binds texts only, a minimum numbers only, and a template passes.
"""

from collections.abc import Iterable

import dagster as dg

TEMPLATE = "[{][{%]"


def field(description: str, *, text: str = "", choices: Iterable[str] = (), **limits: object) -> dg.Resolver:
    """A description and limits. `text` is what a text has to match, or it is one of the choices, or a template."""
    pattern = f"^({'|'.join(choices)})$" if choices else text
    extra = limits | ({"pattern": f"{pattern}|{TEMPLATE}"} if pattern else {})
    resolver: dg.Resolver = dg.Resolver.default(description=description, json_schema_extra=extra)
    return resolver


def count(description: str, *, minimum: int) -> dg.Resolver:
    """A whole number."""
    return field(description, text="^[0-9]+$", minimum=minimum)


def share(description: str) -> dg.Resolver:
    """A number from 0 to 1."""
    return field(description, text="^[0-9.]+$", minimum=0, maximum=1)


def number(description: str, *, minimum: float) -> dg.Resolver:
    """A number."""
    return field(description, text="^[0-9.]+$", minimum=minimum)


def switch(description: str) -> dg.Resolver:
    """True or false."""
    return field(description, choices=("true", "false"))


def listed(description: str, *, choices: Iterable[str] = (), each: str = "") -> dg.Resolver:
    """A list of texts."""
    items = {"enum": list(choices)} if choices else {"pattern": f"{each}|{TEMPLATE}"} if each else {}
    return field(description, text=r"^\[.*\]$", items=items)


def nested(description: str, options: type[dg.Resolvable]) -> dg.Resolver:
    """Fields of a field once more beside the type: Dagster's own message would not say which of them is wrong."""
    return field(description, properties=_properties(options), additionalProperties=False)


def nested_list(description: str, options: type[dg.Resolvable]) -> dg.Resolver:
    """A list of such fields."""
    return field(description, items={"properties": _properties(options), "additionalProperties": False})


def place(description: str) -> dg.Resolver:
    """A url or a path."""
    return dg.Resolver(_beside, description=description, model_field_type=str)


def _beside(context: dg.ResolutionContext, value: str) -> str:
    """A url as it stands; a path from the folder of the YAML file, whatever folder the daemon was started in."""
    return value if "://" in value else str(context.resolve_source_relative_path(value))


def _properties(options: type[dg.Resolvable]) -> object:
    """The JSON schema of the fields, each definition in the place where it is named."""
    schema = options.model().model_json_schema()

    def inlined(part: object) -> object:
        if isinstance(part, list):
            return [inlined(one) for one in part]
        if not isinstance(part, dict):
            return part
        name = str(part.get("$ref", "")).rpartition("/")[2]
        return {key: inlined(one) for key, one in (schema["$defs"][name] if name else part).items()}

    return inlined(schema["properties"])
