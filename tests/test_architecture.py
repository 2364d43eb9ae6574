"""What holds for the package as a whole, beside the floors that import-linter guards."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import encord_dagster

PACKAGE = Path(__file__).parents[1] / "encord_dagster"
MODULES = sorted(PACKAGE.rglob("*.py"))

# The promised names. A name added here is a promise: it goes into the README and the changelog too.
PUBLIC_NAMES = (
    "EncordLabelSetComponent",
    "build_label_set_definitions",
    "open_label_set",
)
HEAVY = {"PIL", "boto3", "botocore", "numpy", "pandas", "pyarrow", "pycocotools"}
MOST_LINES = 400


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Every Dagster project that installs the package imports it, so the import stays cheap."""
    program = "import sys, encord_dagster; print(*sorted({name.partition('.')[0] for name in sys.modules}))"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()

    assert "encord_dagster" in loaded
    assert HEAVY.intersection(loaded) == set()


def test_the_registry_entry_point_loads_nothing_heavy() -> None:
    """Dagster imports it, and looks up its names, in every project of the environment, whether or not it is used."""
    metadata = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))
    (module,) = metadata["project"]["entry-points"]["dagster_dg_cli.registry_modules"].values()
    program = (
        f"import sys, importlib; module = importlib.import_module({module!r}); names = dir(module)\n"
        "print('found', *[name for name in names if hasattr(getattr(module, name), '__dg_package_entry__')])\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "print(*(name for name in sys.modules if name.startswith('encord_dagster.')))"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    found, loaded, ours = done.stdout.splitlines()
    assert found == "found EncordLabelSetComponent"
    assert (HEAVY | {"dagster_aws"}).intersection(loaded.split()) == set()
    assert {name.split(".")[1] for name in ours.split()} <= {"config", "errors", "findings", "orchestration"}


def test_the_public_names_are_the_promised_ones() -> None:
    """A name becomes public by being written down, never by being imported somewhere."""
    names = encord_dagster.__all__

    assert tuple(sorted(names)) == tuple(sorted(PUBLIC_NAMES))


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_a_public_name_can_be_imported(name: str) -> None:
    """A name that is looked up at first use still leads to something."""
    value = getattr(encord_dagster, name)

    assert callable(value)


def test_the_package_and_its_metadata_name_one_version() -> None:
    """A release changes both or neither."""
    metadata = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))

    assert encord_dagster.__version__ == metadata["project"]["version"]


def test_no_module_is_too_long_to_read() -> None:
    """A longer module holds two nouns: split it by noun."""
    lines = {str(path.relative_to(PACKAGE)): len(path.read_text("utf-8").splitlines()) for path in MODULES}

    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_nothing_imports_pickle() -> None:
    """Unpickling runs code, and a pickle ties stored data to class names."""
    found = [f"{where}: {name}" for where, name in imported_names() if name.partition(".")[0] == "pickle"]

    assert found == []


def test_nothing_imports_what_is_private_to_dagster() -> None:
    """Private names move in any release of Dagster."""
    found = [f"{where}: {name}" for where, name in imported_names() if is_private_to_dagster(name)]

    assert found == []


@pytest.mark.parametrize(
    ("name", "private"),
    [
        ("dagster", False),
        ("dagster.components", False),
        ("dagster_aws.s3.S3Resource", False),
        ("encord_dagster._anything", False),
        ("dagster._core.definitions", True),
        ("dagster._check", True),
        ("dagster_aws._stubs", True),
        ("dagster_shared.serdes", True),
    ],
)
def test_a_private_name_of_dagster_is_told_from_a_public_one(name: str, private: bool) -> None:
    """The test above rests on this predicate."""
    assert is_private_to_dagster(name) is private


def is_private_to_dagster(name: str) -> bool:
    """Whether a dotted name lies in Dagster but outside what it promises."""
    root, *rest = name.split(".")
    return root == "dagster_shared" or (
        root.partition("_")[0] == "dagster" and any(part.startswith("_") for part in rest)
    )


def imported_names() -> Iterator[tuple[str, str]]:
    """Module and dotted name of every import in the package, also those inside functions."""
    for path in MODULES:
        where = str(path.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Import(names=names):
                    yield from ((where, alias.name) for alias in names)
                case ast.ImportFrom(module=str(module), names=names):
                    yield from ((where, f"{module}.{alias.name}") for alias in names)
                case _:
                    continue
