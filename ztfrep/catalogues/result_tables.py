"""Tables of search results and rankings for a terminal, and as CSV files."""

from pathlib import Path

import pandas as pd

from ztfrep.catalogues.queries import Queries
from ztfrep.catalogues.ranking import PERCENTILE
from ztfrep.catalogues.similarity import describe_rows
from ztfrep.data.files import replacing


def name_queries(result: pd.DataFrame, queries: Queries) -> pd.DataFrame:
    """Return a result of `similar` with the ids of its queries, if there are several.

    The column `query` is replaced by `query_object_id` and, of alerts, `query_candid`.
    """
    number = result["query"].to_numpy()
    named = result.drop(columns="query")
    if len(queries.rows) == 1:
        return named
    described = describe_rows(queries.catalogue, queries.rows)
    for name in ("candid", "object_id"):
        if name in described:
            named.insert(0, f"query_{name}", described[name].array[number])
    return named


def format_table(table: pd.DataFrame) -> str:
    """Return a table as aligned text, one line per row; a term with its percentile as one column.

    Characters that could control a terminal are escaped, and long text is cut.
    """
    shown = pd.DataFrame(index=table.index)
    for name in table:
        if str(name).endswith(PERCENTILE):
            continue
        values = [_format(value) for value in table[name].astype(object)]
        percentiles = table.get(f"{name}{PERCENTILE}")
        if percentiles is not None:
            pairs = zip(values, percentiles, strict=True)
            values = [value if pd.isna(p) else f"{value} ({p:.0f} %)" for value, p in pairs]
        shown[name] = values
    text: str = shown.to_string(index=False)
    return "\n".join(line.rstrip() for line in text.splitlines())


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV: candids with all digits, null values empty."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def format_number(value: float) -> str:
    """Return a number with enough digits for a score, a magnitude, a date in days or degrees."""
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.3f}"


def _format(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, float):
        return format_number(value)
    text = str(value)[:80]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
