"""Files of a probe in a model folder: its numbers as safetensors, and its card as JSON.

Reading them runs no code. The file of numbers has checksums of itself and of the card.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, JsonValue, ValidationError
from safetensors.numpy import save_file

import ztfrep
from ztfrep.catalogues.label_probes import LabelProbe
from ztfrep.catalogues.user_labels import MAX_CLASS_CHARACTERS, MAX_CLASSES, SEPARATOR
from ztfrep.data.files import replacing, write_json
from ztfrep.encoders.named_arrays import read_arrays, sha256_of_arrays
from ztfrep.encoders.state_dicts import file_size, read_metadata
from ztfrep.errors import InputError, quote
from ztfrep.fields import Table

FOLDER = "probes"
# One entry for both checksums: safetensors writes several entries in an order that varies.
_CHECKSUMS = "sha256 of card and numbers"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_EXPECTED, _REMEDY = "a probe", "train it again: ztfrep classify --labels"
# 200 classes of 4,096 numbers, and the rows; a card of 200 classes.
_MAX_BYTES, _MAX_CARD_BYTES = 1 << 24, 1 << 20
_MAX_SHOWN = 10

_ClassName = Annotated[str, Field(min_length=1, max_length=MAX_CLASS_CHARACTERS)]


class ProbeCard(Table):
    """The card of a probe; see `LabelProbe`."""

    format: Literal["ztfrep-probe-1"] = "ztfrep-probe-1"
    rows: Literal["alerts", "objects"]
    classes: Annotated[list[_ClassName], Field(min_length=2, max_length=MAX_CLASSES)]
    vector_length: Annotated[int, Field(ge=1, le=4096)]
    model: Annotated[str, Field(max_length=200)]
    ztfrep: Annotated[str, Field(max_length=100)]
    figures: dict[str, JsonValue]


def save_probe(model: str | Path | None, name: str, probe: LabelProbe) -> Path:
    """Write a probe as `probes/NAME.safetensors` and `probes/NAME.json` into a model folder.

    With None, for the released encoder, `probes` is a folder of the working directory. Returns the
    path of the first. A probe of that name is replaced. Raises InputError for a name that is not of
    letters, digits, `_` and `-`.
    """
    path = _path(model, name)
    card = ProbeCard(
        rows="alerts" if probe.rows == "alerts" else "objects",
        classes=list(probe.classes),
        vector_length=len(probe.mean),
        model=probe.model,
        ztfrep=ztfrep.__version__,
        figures=probe.figures,
    ).model_dump()
    arrays: dict[str, np.ndarray] = {
        "mean": np.ascontiguousarray(probe.mean, np.float64),
        "scale": np.ascontiguousarray(probe.scale, np.float64),
        "coefficients": np.ascontiguousarray(probe.coefficients, np.float64),
        "intercept": np.ascontiguousarray(probe.intercept, np.float64),
        "temperature": np.array([probe.temperature], np.float64),
        "true_probabilities": np.ascontiguousarray(probe.true_probabilities, np.float32),
        "true_labels": np.ascontiguousarray(probe.true_labels, np.int64),
    }
    with replacing(path) as temporary:
        save_file(arrays, temporary, {_CHECKSUMS: f"{_sha256(card)} {sha256_of_arrays(arrays)}"})
    write_json(path.with_suffix(".json"), card)
    return path


def load_probe(model: str | Path | None, name: str) -> LabelProbe:
    """Read the probe of a name in a model folder.

    Raises InputError if there is none, or if its files are broken, were changed, or are not of one
    probe.
    """
    path = _path(model, name)
    if not path.exists():
        names = sorted(p.stem for p in path.parent.glob("*.safetensors") if _NAME.fullmatch(p.stem))
        shown = ", ".join(map(quote, names[:_MAX_SHOWN])) or "none"
        found = f"no probe {quote(name)} among: {shown}"
        raise InputError(path.parent, found=found, expected=_EXPECTED, remedy=_REMEDY)
    content = _read_json(path.with_suffix(".json"))
    try:
        card = ProbeCard.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(quote(str(part)).strip("'") for part in problem["loc"])
        raise _error(path.with_suffix(".json"), f"{key}: {problem['msg']}", "its card") from error
    arrays = read_arrays(path, _MAX_BYTES, _EXPECTED, _REMEDY)
    if read_metadata(path).get(_CHECKSUMS) != f"{_sha256(content)} {sha256_of_arrays(arrays)}":
        raise _error(path, "a probe that was changed, or the card of another", "files of one probe")
    _validate(path, arrays, len(card.classes), card.vector_length)
    for class_name in card.classes:
        if not class_name.isprintable() or SEPARATOR in class_name:
            raise _error(path, f"the class {quote(class_name)}", "a name of a class")
    return LabelProbe(
        classes=tuple(card.classes),
        rows=card.rows,
        model=card.model,
        mean=arrays["mean"],
        scale=arrays["scale"],
        coefficients=arrays["coefficients"],
        intercept=arrays["intercept"],
        temperature=float(arrays["temperature"][0]),
        true_probabilities=arrays["true_probabilities"],
        true_labels=arrays["true_labels"],
        figures=card.figures,
    )


def check_name(name: str) -> None:
    """Raise InputError for a name that is not of letters, digits, `_` and `-`."""
    if not _NAME.fullmatch(name):
        raise InputError(
            "the name of the probe",
            found=quote(name),
            expected="1 to 64 letters, digits, _ and -",
            remedy="use another name",
        )


def _path(model: str | Path | None, name: str) -> Path:
    check_name(name)
    # The released encoder is in the package, which is no place for a user's files.
    return Path(model or "") / FOLDER / f"{name}.safetensors"


def _read_json(path: Path) -> Any:
    size = file_size(path, _EXPECTED, _REMEDY)
    if size > _MAX_CARD_BYTES:
        raise _error(path, f"{size:,} bytes", f"at most {_MAX_CARD_BYTES:,}")
    try:
        return json.loads(path.read_bytes().decode("ascii"), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise _error(path, f"no JSON ({quote(str(error), 80)})", "its card") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which is no number")


def _validate(path: Path, arrays: dict[str, np.ndarray], classes: int, length: int) -> None:
    """Raise InputError for the first array of another name, type, shape or range."""
    known = arrays["true_labels"].size if "true_labels" in arrays else 0
    specs = {
        "mean": (np.float64, (length,)),
        "scale": (np.float64, (length,)),
        "coefficients": (np.float64, (classes, length)),
        "intercept": (np.float64, (classes,)),
        "temperature": (np.float64, (1,)),
        "true_probabilities": (np.float32, (known,)),
        "true_labels": (np.int64, (known,)),
    }
    for name, (kind, shape) in specs.items():
        found = arrays.get(name)
        if found is None or found.dtype != kind or found.shape != shape:
            text = "absent" if found is None else f"{found.dtype} {found.shape}"
            raise _error(path, f"{name} {text}", f"{np.dtype(kind).name} {shape}")
        if not np.isfinite(found).all():
            raise _error(path, f"{name} with numbers that are not finite", "finite numbers")
    for name in arrays.keys() - specs.keys():
        raise _error(path, f"an array {quote(name)}", ", ".join(specs))
    for name in ("scale", "temperature"):
        if not (arrays[name] > 0).all():
            raise _error(path, f"{name} of 0 or less", "more than 0")
    labels = arrays["true_labels"]
    if ((labels < 0) | (labels >= classes)).any():
        raise _error(path, "true_labels outside the classes", f"0 to {classes - 1}")


def _sha256(card: Any) -> str:
    text = json.dumps(card, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _error(path: Path, found: str, expected: str) -> InputError:
    return InputError(path, found=found, expected=expected, remedy=_REMEDY)
