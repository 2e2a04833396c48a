"""The command `ztfrep classify`: classes of alerts and objects, also of the user's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ztfrep.errors import InputError


def classify(
    paths: Annotated[
        list[Path],
        typer.Argument(help="A catalogue of ztfrep encode, packets, archives or an alert table."),
    ],
    model: Annotated[
        Path | None, typer.Option(help="The folder of an encoder; by default the released one.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The table to write, .csv or .parquet.")] = Path(
        "classes.csv"
    ),
    coverage: Annotated[
        float, typer.Option(help="How often a prediction set holds the true class, 0 to 1.")
    ] = 0.9,
    objects: Annotated[
        bool, typer.Option("--objects", help="Of packets: classify their objects, not alerts.")
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(help="Train on your own classes: a CSV of candid or object_id, and class."),
    ] = None,
    label_column: Annotated[
        str, typer.Option(help="The column of the classes in --labels.")
    ] = "class",
    class_map: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="A YAML file that maps names in --labels onto classes, CLASS: [NAME, ...].",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The name under which the trained probe is saved.")
    ] = None,
    probe: Annotated[
        str | None, typer.Option(help="Classify by the trained probe of this name.")
    ] = None,
) -> None:
    """Classify alerts or objects, with calibrated confidence and prediction sets.

    With --labels, a classifier of your own classes is trained on the vectors, scored by
    cross-validation and saved in the folder of the encoder (with the released encoder, in the
    folder `probes` of the working directory). --probe uses it.

    \b
    ztfrep classify vectors.parquet --out classes.csv
    ztfrep classify vectors.parquet --labels mine.csv --name mine
    ztfrep classify vectors.parquet --probe mine --out classes.csv
    """
    from ztfrep.catalogues.classified_files import classify_paths, train_probe  # Slow to import.

    if labels is None:
        if name is not None or class_map is not None:
            found = f"{'--map' if name is None else '--name'} without --labels"
            raise _option_error(found, "--labels FILE, or --probe NAME")
        result = classify_paths(paths, model, out, coverage=coverage, probe=probe, objects=objects)
        typer.echo(f"{len(result.table):,} {result.rows}, mean confidence")
        for class_name, (count, confidence) in result.counts().items():
            typer.echo(f"  {class_name:<28}{count:>9,}  {confidence:.3f}")
        sizes = ", ".join(f"{n:,} of {size}" for size, n in result.size_counts().items())
        typer.echo(f"classes in a prediction set of coverage {coverage:g}: {sizes or 'none'}")
        typer.echo(out)
        return
    if name is None or probe is not None:
        found = "--labels without --name" if name is None else "--labels with --probe"
        raise _option_error(found, "--labels FILE --name NAME")
    trained, user_labels, path = train_probe(
        paths,
        labels,
        name,
        model,
        column=label_column,
        class_map=class_map,
        objects=objects,
    )
    _print_counts(user_labels.counts)
    _print_figures(trained.figures)
    typer.echo(path)


def _print_counts(counts: Mapping[str, int]) -> None:
    kinds = [
        f"{count:,} {kind.replace('_', ' ')}"
        for kind, count in counts.items()
        if kind not in ("rows", "contradictory") and count
    ]
    typer.echo(f"{counts['rows']:,} rows of labels = {' + '.join(kinds)}")
    if counts["contradictory"]:
        typer.echo(f"{counts['contradictory']:,} with rows of more than one class: not used")


def _print_figures(figures: Mapping[str, Any]) -> None:
    for class_name, rows in figures["dropped_classes"].items():
        typer.echo(f"class {class_name}: {rows:,} rows of too few objects: not used")
    if figures["rows"] < figures["labelled_rows"]:
        typer.echo(f"{figures['rows']:,} of {figures['labelled_rows']:,} rows are used")
    head = f"{figures['rows']:,} rows, {figures['objects']:,} objects"
    typer.echo(f"\n{head:<30}accuracy  balanced   95 % interval  macro-F1   95 % interval")
    for method in ("probe", "majority_class"):
        scores = figures[method]
        typer.echo(
            f"  {method.replace('_', ' '):<28}{scores['accuracy']:>8.3f}"
            f"{scores['balanced_accuracy']:>10.3f}   "
            "{balanced_accuracy_low:.3f} - {balanced_accuracy_high:.3f}"
            "{macro_f1:>10.3f}   {macro_f1_low:.3f} - {macro_f1_high:.3f}".format(**scores)
        )
    typer.echo(f"\n{'class':<30}{'rows':>8}    recall  coverage")
    sets = figures["prediction_sets"]
    for class_name, rows in figures["rows_by_class"].items():
        recall = figures["probe"]["recall"][class_name]
        covered = sets["by_class"][class_name]["coverage"]
        typer.echo(f"  {class_name:<28}{rows:>8,}{recall:>10.3f}{covered:>10.3f}")
    typer.echo(
        f"\nprediction sets of coverage {sets['stated_coverage']:g}: {sets['coverage']:.3f}, "
        f"{sets['mean_size']:.2f} classes; ECE {figures['calibrated']['ece']:.3f} "
        f"({figures['calibration']['ece']:.3f} before calibration)"
    )
    typer.echo(f"cross-validated in {figures['folds']} folds, an object in one fold")


def _option_error(found: str, expected: str) -> InputError:
    return InputError(
        "the options", found=found, expected=expected, remedy="see ztfrep classify --help"
    )
