"""The source of alert packets: its manifest, and labels by the shipped class map or the user's."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.alert_packets import CANDID, alert, archive, packet
from ztfrep.data.splits import Splitting
from ztfrep.errors import InputError
from ztfrep.sources import get_source
from ztfrep.sources.base import TablePaths
from ztfrep.sources.manifest import describe_file

PARAMS = yaml.safe_load((Path(__file__).parents[3] / "params.yaml").read_text())
# By the rest of the division of an object's number by six.
TYPES = ["SN Ia", "QSO", "RRL", "TDE", "zebra", None]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    alerts = {
        f"{i}.avro": packet(alert(f"ZTF{i:04d}", candid=CANDID + i, jd=2459000.5 + i))
        for i in range(36)
    }
    return archive(tmp_path_factory.mktemp("night") / "night.tar.gz", alerts)


@pytest.fixture(scope="module")
def table():
    types = [TYPES[i % 6] for i in range(36)]
    return pa.table({"object_id": [f"ZTF{i:04d}" for i in range(36)], "type": types})


def convert(folder, night, table, class_map=None):
    """Return the manifest, the counts of labels, and the bytes of both tables."""
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / "types.parquet")
    paths = {"path": str(night), "labels": str(folder / "types.parquet"), "label_column": "type"}
    if class_map is not None:
        (folder / "map.yaml").write_text(class_map)
        paths["class_map"] = str(folder / "map.yaml")
    source = get_source("alerts")
    config = source.Config.model_validate(PARAMS["sources"]["alerts"] | paths)
    manifest = source.fetch(config, folder, folder)
    tables = TablePaths(*(folder / name for name in ("stamps", "series", "failures")))
    splitting = Splitting(test_fraction=0.1, min_test_objects=1, seed=7)
    counts = source.convert(manifest, config, tables, splitting=splitting, threads=1)
    written = [path.read_bytes() for path in (tables.stamps, tables.series)]
    return manifest, counts["labels"], written


def test_mapped_classes_label_alerts_and_all_names_are_counted(tmp_path, night, table):
    _, counts, mapped = convert(tmp_path / "mapped", night, table)
    names = {"AGN": {"QSO": 6}, "SN": {"SN Ia": 6}, "VS": {"RRL": 6}}
    assert counts["mapped_classes_by_name"] == names
    assert counts["excluded_classes_by_name"] == {"TDE": 6}
    assert counts["other_classes_by_name"] == {"zebra": 6}
    assert (counts["mapped_classes"], counts["rows_labelled"], counts["objects"]) == (18, 18, 18)
    # The same tables as of our own classes.
    ours = {"SN Ia": "SN", "QSO": "AGN", "RRL": "VS", "TDE": "other"}
    types = [ours.get(name) for name in table["type"].to_pylist()]
    _, counts, expected = convert(tmp_path / "ours", night, table.set_column(1, "type", [types]))
    assert counts["mapped_classes_by_name"] == {}
    assert mapped == expected


def test_a_map_of_the_users_has_priority_and_is_in_the_manifest(tmp_path, night, table):
    class_map = "VS: [zebra]\nnull: [RRL]\n"
    manifest, counts, _ = convert(tmp_path, night, table, class_map)
    assert manifest["class_map"] == describe_file(tmp_path / "map.yaml")
    assert counts["mapped_classes_by_name"]["VS"] == {"zebra": 6}
    assert counts["excluded_classes_by_name"] == {"TDE": 6, "RRL": 6}
    # Other bytes are another manifest, which the next stage depends on.
    changed, counts, _ = convert(tmp_path, night, table, class_map.replace("null", "SN"))
    assert changed["class_map"] != manifest["class_map"]
    assert counts["mapped_classes_by_name"]["SN"] == {"SN Ia": 6, "RRL": 6}


def test_a_map_onto_other_classes_stops_before_packets_are_read(tmp_path, night, table):
    with pytest.raises(InputError, match="found the class 'SNe'; expected AGN, SN, VS, asteroid"):
        convert(tmp_path, night, table, "SNe: [SN Ia]\n")
    assert not (tmp_path / "failures").exists()
    source = get_source("alerts")
    paths = {"path": str(night), "class_map": "map.yaml"}
    config = source.Config.model_validate(PARAMS["sources"]["alerts"] | paths)
    with pytest.raises(InputError, match="sources.alerts.class_map: found the relative path"):
        source.fetch(config, tmp_path, tmp_path)
