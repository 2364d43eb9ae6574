"""M: bitmasks whose run-length code and size do not agree, or are meant to exhaust or read the memory."""

from encord_dagster import rle
from tests import factories as make
from tests.factories import HEIGHT, WIDTH, Json
from tests.hostile.case import Case, Delivery, beside, object_quarantined, objects, one

PIXELS = WIDTH * HEIGHT


def bad(*masks: Json) -> list[Delivery]:
    """Masks that must all be quarantined, alone of their row."""
    named = [mask | {"objectHash": f"mask{number:04}"} for number, mask in enumerate(masks)]
    return one(objects(*named), object_quarantined(*["bad_bitmask"] * len(named)))


def code(*runs: int) -> str:
    """The run-length code of runs."""
    return rle.encode(runs)


def giant(side: int) -> list[Delivery]:
    """An image of side x side pixels whose only object is a mask of one run over all of it."""
    size = {"width": side, "height": side}
    unit = make.unit("data-0", "image/png", make.labels(make.bitmask(code(0, side * side), side, side)), **size)
    return one(beside(make.row("image", [unit])), object_quarantined("bad_bitmask", published=1))


def of_size(width: object, height: object, text: str = "9") -> Json:
    """A mask that states this size."""
    return make.bitmask(text, width, height)


def small(text: str, label_hash: str = "small") -> Json:
    """An image of 10 x 10 pixels with a mask. Runs of no pixels are legal, however many."""
    unit = make.unit(f"{label_hash}-0", "image/png", make.labels(make.bitmask(text, 10, 10)), width=10, height=10)
    return make.row("image", [unit], label_hash=label_hash)


CASES = (
    Case(
        id="M01",
        name="runs that sum to a little more than the frame",
        make=lambda: bad(
            make.bitmask(code(0, PIXELS + 1)), make.bitmask(code(PIXELS, 1)), make.bitmask(code(5, PIXELS))
        ),
    ),
    Case(
        id="M02",
        name="runs that sum to 2^31 and beyond",
        make=lambda: bad(
            make.bitmask(code(0, 2**31)),
            make.bitmask(code(2**31 - 1, 2**31 - 1, 2)),
            make.bitmask(code(0, 2**29) * 4),
            make.bitmask(code(2**30 - 1)),
        ),
    ),
    Case(
        id="M03",
        name="runs that leave pixels unset, which leaks memory elsewhere",
        make=lambda: bad(make.bitmask(code(0, PIXELS - 1)), make.bitmask(code(1)), make.bitmask(code(0, 1, 1, 1))),
    ),
    Case(
        id="M04",
        name="negative runs",
        make=lambda: bad(
            make.bitmask("O"),
            make.bitmask("1N9"),
            make.bitmask(code(5, 3) + "2" + "K"),
            make.bitmask("0" * 3 + "o" * 5),
        ),
    ),
    Case(id="M05", name="65,536 x 65,536 pixels", make=lambda: giant(65_536), heavy=True),
    Case(id="M06", name="100,000 x 100,000 pixels", make=lambda: giant(100_000), heavy=True),
    Case(
        id="M07",
        name="negative size",
        make=lambda: bad(of_size(-WIDTH, -HEIGHT), of_size(-WIDTH, HEIGHT), of_size(WIDTH, -HEIGHT)),
    ),
    Case(
        id="M08",
        name="no size",
        make=lambda: bad(of_size(0, 0), of_size(0, 0, ""), of_size(0, HEIGHT), of_size(None, None), of_size("", "x")),
    ),
    Case(
        id="M09",
        name="empty code",
        make=lambda: [
            *bad(make.bitmask(""), make.bitmask(None), make.bitmask(0)),
            *one(
                objects(make.bitmask([]), make.bitmask({}) | {"objectHash": "mask0001"}),
                object_quarantined("bad_geometry", "bad_geometry"),
            ),
        ],
    ),
    Case(
        id="M10",
        name="characters outside the alphabet",
        make=lambda: bad(
            make.bitmask("é"), make.bitmask("0\0"), make.bitmask("p"), make.bitmask("/"), make.bitmask("\U0001f4a9" * 9)
        ),
    ),
    Case(
        id="M11",
        name="code cut inside a number",
        make=lambda: bad(make.bitmask(code(PIXELS)[:-1]), make.bitmask("0a"), make.bitmask("P")),
    ),
    Case(
        id="M12",
        name="a number that does not end",
        make=lambda: bad(
            make.bitmask("o" * 10_000_000), make.bitmask("o" * 6 + "0"), make.bitmask("P" * 100_000 + "1")
        ),
        heavy=True,
    ),
    Case(
        id="M13",
        name="a million runs on 10 x 10 pixels",
        make=lambda: [
            *bad(of_size(WIDTH, HEIGHT, "0" * 1_000_000)),
            Delivery(data=beside(small("1" * 1_000_000)), expected=object_quarantined("bad_bitmask", published=1)),
            Delivery(
                data=beside(small("0" * 999_999 + code(100), label_hash="full")),
                expected=object_quarantined("bad_bitmask", published=1),
            ),
        ],
        heavy=True,
    ),
)
