"""The command `ztfrep export`: an encoder in a format of other software."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    onnx: Annotated[Path, typer.Option(help="The folder to write the ONNX files to.")],
    model: Annotated[
        Path | None, typer.Option(help="The folder of an encoder; by default the released one.")
    ] = None,
    provider: Annotated[
        str, typer.Option(help="ONNX Runtime's execution provider that runs the files once.")
    ] = "CPUExecutionProvider",
) -> None:
    """Write the encoder of alerts, and that of objects if there is one, as ONNX files.

    The preprocessing is in the files: raw stamps and metadata in, vectors and class probabilities
    out. Each file is compared with torch before it appears.

    \b
    Example:
      ztfrep export --onnx onnx --model data/models
    """
    from ztfrep.encoders.encoder import load  # Slow to import.
    from ztfrep.encoders.onnx_export import export_onnx

    for file in export_onnx(load(model, device="cpu"), onnx, provider):
        typer.echo(
            f"{file.path}: {file.path.stat().st_size / 1e6:.1f} MB, "
            f"differs from torch by at most {file.difference:.0e}, "
            f"asked for {provider}, ran {file.provider}"
        )
