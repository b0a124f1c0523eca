"""What every table of a TOML file is, and the kinds of values that several of them hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$"), AfterValidator(str.lower)]
Handle = Annotated[str, Field(pattern=r"^0x([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$"), AfterValidator(str.lower)]
"""An address, or the 32 bytes by which a contract names one of its markets."""
Id = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
"""32 bytes."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
