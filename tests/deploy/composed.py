"""The Compose file as Compose reads it: merged, with the variables of an .env filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"

_VARIABLE = re.compile(r"\$\$|\$\{([A-Z0-9_]+)(?:(:[-?])([^}]*))?\}")


class NotSet(Exception):
    """The Compose file asks for a variable that the .env does not hold."""


def read(variables: Mapping[str, str]) -> dict[str, Any]:
    """The whole file. NotSet for a variable that has to be given."""
    return {key: _filled(value, variables) for key, value in yaml.safe_load(COMPOSE.read_text()).items()}


def dotenv(path: Path) -> dict[str, str]:
    """The variables of an .env file."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _one(found, variables), value)
    if isinstance(value, list):
        return [_filled(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, variables) for key, item in value.items()}
    return value


def _one(found: "re.Match[str]", variables: Mapping[str, str]) -> str:
    name, sign, text = found.groups()
    if name is None:
        return "$"
    value = variables.get(name, "")
    if value or sign is None:
        return value
    if sign == ":?":
        raise NotSet(f"{name}: {text}")
    return text or ""
