"""The reference, made of the code: nothing here is typed twice."""

import argparse
import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any

import dagster as dg
import msgspec

import encord_dagster
from encord_dagster import cli
from encord_dagster.formats import format_losses
from encord_dagster.formats.catalogue import FORMATS, PUBLISHED, WRITTEN
from encord_dagster.formats.losses import LOSSES
from encord_dagster.label_set.read import LabelSet, Version
from encord_dagster.orchestration.choices import LabelSetOptions
from encord_dagster.validation import RULES

HANDED_OUT = (LabelSet, Version)  # by the public names: promised with them
_LIMITS = (("minimum", "from"), ("maximum", "to"))
_UNSET = "__DAGSTER"  # how Dagster's schema says that a default is empty


class Page(msgspec.Struct, frozen=True):
    """A generated page."""

    title: str
    about: str
    body: str

    @property
    def text(self) -> str:
        """It as Markdown."""
        return f"# {self.title}\n\n{self.body}\n"


def pages() -> dict[str, Page]:
    """All of them, by file name."""
    return {
        "component": Page("Fields of the component", "what may stand in its YAML", component()),
        "command-line": Page("Command line", "every command and its options", command_line()),
        "python": Page("Python", "what `import encord_dagster` promises", python()),
        "rules": Page("Rules", "names, severities, what each finds", rules()),
        "formats": Page("Formats", "what `--formats` takes, and what each cannot hold", formats()),
    }


# --- the component ------------------------------------------------------------------------------------------------


def component() -> str:
    """Tables of the fields, out of the JSON schema that `dg check yaml` uses."""
    schema = encord_dagster.EncordLabelSetComponent.model().model_json_schema()
    defaults = {name: field.default for name, field in LabelSetOptions.model_fields.items()}
    intro = (
        "What may stand below `attributes` of `type: encord_dagster.EncordLabelSetComponent`. Every value may be a "
        'template, such as `"{{ env.LANDING }}"`.'
    )
    return "\n\n".join([intro, *_fields(schema, defaults)])


def _fields(schema: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    """A table, and behind it one for each field that has fields of its own."""
    fields = schema["properties"].items()
    rows = (
        (
            f"`{name}`",
            _type(name, field),
            _value(defaults.get(name, field["default"])) if "default" in field else "required",
            field["description"],
        )
        for name, field in fields
    )
    yield _table(("Field", "Type", "Default", "Description"), rows)
    for name, field in fields:
        if inner := _inner(field):
            yield f"## {name}"
            yield from _fields(inner, {})


def _inner(field: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The fields of a field, or of each item of a list."""
    return next((one for one in (field, field.get("items", {})) if "properties" in one), None)


def _type(name: str, field: Mapping[str, Any]) -> str:
    if _inner(field):
        return f"[fields](#{name})" if "properties" in field else f"list of [fields](#{name})"
    kinds = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
    if len(kinds) > 1 and "pattern" in field:  # a text is there for templates only
        kinds = [one for one in kinds if one != {"type": "string"}]
    limits = {name: field[name] for name in ("items", "additionalProperties", "minimum", "maximum") if name in field}
    return " or ".join(_kind(kind | limits) for kind in kinds)


def _kind(kind: Mapping[str, Any]) -> str:
    match kind:
        case {"enum": choices}:
            return " or ".join(f"`{choice}`" for choice in choices)
        case {"type": "array"}:
            return f"list of {_kind(kind.get('items') or {'type': 'string'})}"
        case {"type": "object"}:
            return f"name: {_kind(kind['additionalProperties'])}"
        case {"type": "boolean"}:
            return "`true` or `false`"
        case _:
            words = {"string": "text", "integer": "whole number", "number": "number"}
            limits = (f" {word} {kind[limit]}" for limit, word in _LIMITS if limit in kind)
            return words[kind.get("type", "string")] + "".join(limits)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value)
    return "" if value in (None, "", {}) or str(value).startswith(_UNSET) else f"`{value}`"


# --- the command line ---------------------------------------------------------------------------------------------


def command_line() -> str:
    """A section for each command, out of argparse."""
    parser, found = cli._parser(), commands()
    listed = _table(("Command", "Does"), ((f"[{name}](#{name})", one.description or "") for name, one in found.items()))
    sections = (f"## {name}\n\n{_command(one)}" for name, one in found.items())
    return "\n\n".join([f"{parser.description} {parser.epilog}", listed, *sections])


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (found,) = (action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def _command(parser: argparse.ArgumentParser) -> str:
    formatter = parser._get_formatter()
    parts = [parser.description or "", f"```text\n{parser.format_usage().removeprefix('usage: ').strip()}\n```"]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.dest != "help"]
        if actions:
            parts += [group.description] if group.description else []
            rows = ((_spelled(action), _help(formatter, action)) for action in actions)
            parts.append(_table(("Argument" if group.title == "positional arguments" else "Option", "Is"), rows))
    return "\n\n".join(parts)


def _spelled(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings or [action.dest])
    choices = ", ".join(f"`{choice}`" for choice in action.choices or ())
    return f"{names}: {choices}" if choices else names


def _help(formatter: argparse.HelpFormatter, action: argparse.Action) -> str:
    said = formatter._expand_help(action) if action.help else ""
    given = action.default
    if given not in (None, False, "", [], argparse.SUPPRESS) and "default" not in said:
        said += f"; default `{','.join(given) if isinstance(given, list) else given}`"
    if action.required and action.option_strings:
        said += "; needed"
    return said.removeprefix("; ")


# --- Python -------------------------------------------------------------------------------------------------------


def python() -> str:
    """Signatures and docstrings of what `__all__` names, and of what that hands out."""
    parts = []
    for name in encord_dagster.__all__:
        found = getattr(encord_dagster, name)
        parts.append(_class(found) if inspect.isclass(found) else _function(found, heading="##"))
    return "\n\n".join([*parts, *map(_class, HANDED_OUT)])


def _class(found: type) -> str:
    inherited = {name for base in (dg.Component, LabelSetOptions) if issubclass(found, base) for name in dir(base)}
    members = [
        _function(member, heading="###")
        for name, member in vars(found).items()
        if not name.startswith("_") and name not in inherited and isinstance(member, FunctionType | property)
    ]
    return "\n\n".join([f"## {found.__name__}", inspect.getdoc(found) or "", *members])


def _function(found: FunctionType | property, *, heading: str) -> str:
    """Its signature as it stands in the code, and its docstring."""
    function = found.fget if isinstance(found, property) else found
    source = textwrap.dedent(inspect.getsource(function))  # type: ignore[arg-type]  # properties here have a getter
    (defined,) = ast.parse(source).body
    if not isinstance(defined, ast.FunctionDef) or ast.get_docstring(defined) is None:
        raise TypeError(f"{found} is no function with a docstring")
    lines = source.splitlines()[defined.lineno - 1 : defined.body[0].lineno - 1]
    signature = "\n".join(lines).removesuffix(":")
    if isinstance(found, property) and defined.returns:
        signature = f"{defined.name}: {ast.unparse(defined.returns)}"
    return f"{heading} {defined.name}\n\n```python\n{signature}\n```\n\n{ast.get_docstring(defined)}"


# --- rules and formats --------------------------------------------------------------------------------------------


def rules() -> str:
    """The registry of rules."""
    intro = (
        f"{len(RULES)} rules. The severity of each can be set with `severities`; `error` turns a check red, and there "
        "the command line exits with 1 (`--fail-at`).\n\n"
    )
    return intro + _table(
        ("Rule", "Severity", "Finds"), ((f"`{rule.name}`", rule.severity, rule.description) for rule in RULES)
    )


def formats() -> str:
    """The catalogue of formats, with the losses of each."""
    lost = {loss.code: loss.description for loss in LOSSES} | dict(format_losses.LOSSES)
    parts = ["[What each format holds](../formats.md) says more of each, and of shapes, splits and selection."]
    for name in FORMATS:
        made = WRITTEN.get(name)
        about = inspect.getdoc(getattr(made, "func", made)) if made else ""
        when = "In every version." if name in PUBLISHED else "Written at checkout."
        losses = [(f"`{code}`", text) for code, text in lost.items() if code.startswith(f"{name}:")]
        parts += [f"## {name}", f"{about} {when}".strip()]
        parts += [_table(("Loss", "What is lost, and where it still is"), losses)] if losses else []
    return "\n\n".join(parts)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
