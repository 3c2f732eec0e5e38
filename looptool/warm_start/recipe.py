"""configs/warm-start.yaml: what the adapter is trained on, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from looptool.core import params
from looptool.core.errors import ConfigError
from looptool.core.params import Section
from looptool.core.samples import Category

FILE = Path("configs/warm-start.yaml")


class WarmStart(Section):
    """The fields of the file, which explains them."""

    seed: int
    samples: Annotated[int, Field(gt=0)]
    shares: dict[Category, Annotated[float, Field(ge=0)]]
    group_size: Annotated[int, Field(gt=0)]
    masked: Annotated[float, Field(ge=0, le=1)]
    rank: Annotated[int, Field(gt=0)]
    learning_rate: Annotated[float, Field(gt=0)]
    batch_size: Annotated[int, Field(gt=0)]
    evaluate_at: list[Annotated[int, Field(gt=0)]]
    heldout_rows: Annotated[int, Field(gt=0)]
    bfcl_rows: Annotated[int, Field(gt=0)] | None

    @field_validator("shares")
    @classmethod
    def _some_share(cls, shares: dict[Category, float]) -> dict[Category, float]:
        if not any(shares.values()):
            raise ValueError("at least one must be above 0")
        return shares


def load(path: Path, samples: int | None = None) -> WarmStart:
    """Return the recipe in a file.

    Args:
        samples: in place of the number in the file.

    Raises:
        ConfigError: if the file is missing or a field is wrong; it names file, field and rule.
    """
    content = params.read(path)
    if samples is not None:
        content["samples"] = samples
    try:
        return WarmStart.model_validate(content)
    except ValidationError as error:
        problems = [
            f"{path}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}"
            for detail in error.errors(include_url=False)
        ]
        raise ConfigError("\n".join(problems)) from None
