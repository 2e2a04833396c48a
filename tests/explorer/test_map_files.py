import base64

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.catalogues.small_catalogues import CANDID, CLASSES, write_small_catalogue
from tests.explorer.conftest import read
from ztfrep import palette
from ztfrep.catalogues.catalogue import read_catalogue
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.similarity import nearest
from ztfrep.errors import InputError
from ztfrep.explorer.catalogue_map import make_map
from ztfrep.explorer.stamp_sprites import stamp_image


def codes(files, name):
    return np.frombuffer(base64.b64decode(read(files, f"data/column-{name}.js")), np.uint8)


def numbers(files, name):
    return np.frombuffer(base64.b64decode(read(files, f"data/{name}.js")), "<f4")


def column(files, name):
    return {c["name"]: c for c in read(files, "data/map.js")["columns"]}[name]


def categories(files, name):
    values = [*column(files, name)["values"], *[None] * 255]
    return [values[code] for code in codes(files, name)]


def test_the_map_says_what_its_files_have(small_map, alerts):
    value = read(small_map, "data/map.js")
    assert (value["title"], value["rows"], value["n"]) == ("v.parquet", "alerts", 40)
    assert value["classes"] == list(CLASSES) and value["projections"] == ["pca"]
    assert value["stamps"] == {
        "rows": 1,
        "size": 9,
        "channels": ["science", "template", "difference"],
    }
    assert value["detail_rows"] == 1 and value["neighbours"] == 10
    assert value["colours"] == list(palette.COLOURS)
    assert value["numbers"] == list(palette.NUMBERS) and value["masked"] == palette.MASKED
    assert value["filters"]["1"] == ["g", palette.FILTERS[1][1]]
    assert [c["name"] for c in value["columns"]] == [
        "predicted_class", "magpsf", "anomaly_score", "reconstruction_error",
        "neighbour_distance", "class_entropy", "mjd",
    ]  # fmt: skip
    for name in small_map.names_of_columns():
        assert small_map.read(name) is not None, name


def test_a_projection_is_its_points(small_map):
    points = numbers(small_map, "projection-pca").reshape(-1, 2)
    assert np.array_equal(points, small_map.projections["pca"].points)


def test_columns_are_the_values_of_the_rows(small_map):
    table = small_map.catalogue.table
    assert categories(small_map, "predicted_class") == table["predicted_class"].tolist()
    assert np.allclose(numbers(small_map, "column-magpsf"), table["magpsf"])
    times = base64.b64decode(read(small_map, "data/column-mjd.js"))
    assert np.array_equal(np.frombuffer(times, "<f8"), table["mjd"])
    types = {c["name"]: c.get("type") for c in read(small_map, "data/map.js")["columns"]}
    assert (types["predicted_class"], types["magpsf"], types["mjd"]) == (None, "float32", "float64")
    magnitude = column(small_map, "magpsf")
    assert magnitude["reversed"] and magnitude["unit"] == "mag"
    low, high = np.percentile(table["magpsf"], [1, 99])
    assert (magnitude["low"], magnitude["high"]) == pytest.approx((low, high), rel=1e-5)


def test_identifiers_are_exact_and_null_where_there_are_none(tmp_path, random_vectors):
    candids = pa.array([None, *(CANDID + i for i in range(39))], pa.int64())
    write_small_catalogue(tmp_path / "v.parquet", random_vectors, candid=candids)
    files = make_map(tmp_path / "v.parquet", projections=["pca"])
    ids = read(files, "data/ids.js")
    assert ids["candid"] == [None, *(str(CANDID + i) for i in range(39))]
    assert ids["object_id"][3] == "ZTF20aaaaaab"
    assert [read(files, f"data/details-{row}.js")[0]["candid"] for row in (0, 7)] == [
        None, str(CANDID + 6),
    ]  # fmt: skip


def test_details_are_those_of_the_row(small_map, random_vectors):
    (row,) = read(small_map, "data/details-5.js")
    assert (row["object_id"], row["candid"], row["fid"]) == ("ZTF20aaaaaac", str(CANDID + 5), 1)
    assert (row["mjd"], row["magpsf"], row["ra"], row["dec"]) == (59005.0, 19.5, 5.0, 5.0)
    assert row["probabilities"] == [0.25, 0.5, 0.25] and row["predicted_class"] == "SN"
    assert row["anomaly_score"] == 5.0
    assert row["anomaly"] == {
        "neighbour_distance": 2.5, "reconstruction_error": 2.5, "class_entropy": 2.5,
    }  # fmt: skip
    assert row["link"] == "https://alerce.online/object/ZTF20aaaaaac"
    expected = nearest(random_vectors, random_vectors[5:6], 10, [np.array([5])])
    assert [number for number, _ in row["neighbours"]] == expected.rows[0].tolist()
    distances = [distance for _, distance in row["neighbours"]]
    assert np.allclose(distances, expected.distances[0], atol=1e-5) and distances == sorted(
        distances
    )


def test_files_of_several_rows_have_those_rows(alerts):
    one, many = (make_map(alerts, projections=["pca"], rows_per_file=n) for n in (1, 16))
    assert read(many, "data/map.js")["detail_rows"] == 16
    for place, rows in ((0, range(16)), (2, range(32, 40))):
        assert read(many, f"data/details-{place}.js") == [
            read(one, f"data/details-{row}.js")[0] for row in rows
        ]
        previews = many.catalogue.previews(rows)
        assert many.read(f"stamps/{place}.png").content == stamp_image(previews)
    assert many.read("data/details-3.js") is None and many.read("stamps/3.png") is None


@pytest.mark.parametrize(
    "name",
    [
        "", "map.js", "data/", "data/map.json", "data/../data/map.js", "../pyproject.toml",
        "data/details-40.js", "data/details--1.js", "data/details-01.js", "data/details-1.png",
        "data/details-99999999999999999999.js", "data/details-\u0661.js", "stamps/40.png",
        "stamps/1.js", "data/projection-umap.js", "data/projection-.js", "data/column-object_id.js",
        "data/column-vector.js", "/etc/passwd", "index.html/", "web/dist/index.html",
        "data/map.js\n",
        "__init__.py", "INDEX.HTML",
    ],
)  # fmt: skip
def test_other_names_are_no_files(small_map, name):
    assert small_map.read(name) is None


def test_light_curves_of_alerts_are_those_of_their_objects(with_objects):
    files = make_map(with_objects, projections=["pca"])
    curve = read(files, "data/details-5.js")[0]["light_curve"]
    # The upper limit of -1,000 mag is none.
    assert curve == {
        "mjd": [1.0, 4.0, 4.0], "fid": [1, 2, 1], "magpsf": [None, 19.0, 18.0],
        "sigmapsf": [None, 0.1, None], "diffmaglim": [20.5, 20.0, None],
    }  # fmt: skip


def test_an_object_that_is_not_there_has_its_alerts_as_light_curve(with_objects, small_map):
    for files in (make_map(with_objects, projections=["pca"]), small_map):
        curve = read(files, "data/details-32.js")[0]["light_curve"]
        assert curve["mjd"] == [59032.0, 59033.0] and curve["sigmapsf"] == [None, None]


def test_a_broken_catalogue_of_objects_is_a_warning(alerts, tmp_path, caplog):
    (tmp_path / "v.objects.parquet").write_text("text")
    curve = read(make_map(alerts, projections=["pca"]), "data/details-5.js")[0]["light_curve"]
    assert curve["mjd"] == [59004.0, 59005.0]
    assert "without its light curves" in caplog.text and len(caplog.messages) == 1


def test_rows_without_times_and_stamps_have_neighbours(tmp_path, random_vectors):
    nothing = {name: pa.nulls(40, pa.float64()) for name in ("mjd", "magpsf", "ra", "dec")}
    write_small_catalogue(tmp_path / "v.parquet", random_vectors, **nothing)
    files = make_map(tmp_path / "v.parquet", projections=["pca"])
    (row,) = read(files, "data/details-5.js")
    assert row["light_curve"] is None and row["mjd"] is None and len(row["neighbours"]) == 10
    assert files.read("stamps/5.png") is None
    value = read(files, "data/map.js")
    assert value["stamps"] is None and any("no stamps" in note for note in value["notes"])
    assert "mjd" not in [c["name"] for c in value["columns"]]


def test_a_catalogue_of_objects_has_a_map(tmp_path, random_vectors):
    write_small_catalogue(tmp_path / "v.parquet", random_vectors[:15], rows=OBJECTS)
    files = make_map(tmp_path / "v.parquet", projections=["pca"])
    (row,) = read(files, "data/details-4.js")
    assert (row["object_id"], row["candid"]) == ("ZTF20aaaaaae", None)
    assert (row["n_alerts"], row["n_observations"]) == (1, 3)
    assert row["light_curve"]["mjd"] == [1.0, 6.0, 4.0]
    assert read(files, "data/ids.js")["candid"] is None
    assert column(files, "n_observations")["kind"] == "number"
    assert not any("stamps" in note for note in read(files, "data/map.js")["notes"])


def test_a_folder_of_catalogues_has_one_map(tmp_path, random_vectors):
    folder = tmp_path / "nights"
    folder.mkdir()
    for name, part in (("a", slice(0, 15)), ("b", slice(15, 40))):
        n = part.stop - part.start
        write_small_catalogue(
            folder / f"{name}.parquet",
            random_vectors[part],
            candid=CANDID + part.start + np.arange(n),
        )
        write_small_catalogue(folder / f"{name}.objects.parquet", random_vectors[:3], rows=OBJECTS)
    files = make_map(folder, projections=["pca"])
    value = read(files, "data/map.js")
    assert (value["n"], value["title"]) == (40, "nights")
    assert read(files, "data/ids.js")["candid"][39] == str(CANDID + 39)
    assert len(read(files, "data/details-16.js")[0]["light_curve"]["mjd"]) == 3


def test_classes_and_splits_of_an_alert_table_are_columns(tmp_path, random_vectors):
    truth = pa.array(["SN", None, "bogus", "AGN"] * 10)
    splits = pa.array(["test", "train", "train", "validation"] * 10)
    write_small_catalogue(
        tmp_path / "v.parquet", random_vectors, **{"class": truth, "split": splits}
    )
    files = make_map(tmp_path / "v.parquet", projections=["pca"])
    assert categories(files, "class") == truth.to_pylist()
    assert categories(files, "split") == splits.to_pylist()
    assert column(files, "split")["values"] == ["train", "validation", "test"]
    # A class has one colour, whatever the others are.
    assert column(files, "class")["colours"] == list(palette.COLOURS[:3])
    assert any(
        "10 of 40 rows have no class" in note for note in read(files, "data/map.js")["notes"]
    )


def test_labels_of_a_user_are_in_place_of_the_classes(tmp_path, random_vectors):
    write_small_catalogue(
        tmp_path / "v.parquet", random_vectors,
        **{"class": pa.array(["SN"] * 40), "split": pa.array(["test"] * 40)},
    )  # fmt: skip
    labels = tmp_path / "mine.csv"
    rows = [f"{CANDID + 1},SN,train", f"{CANDID + 2},<img src=x onerror=alert(1)>,mine"]
    labels.write_text("\n".join(["candid,class,split", *rows, "1,AGN,train"]))
    files = make_map(tmp_path / "v.parquet", labels=labels, projections=["pca"])
    assert categories(files, "class")[:4] == [None, "SN", "<img src=x onerror=alert(1)>", None]
    assert categories(files, "split")[:4] == [None, "train", "mine", None]
    assert categories(files, "catalogue_class")[:2] == ["SN", "SN"]
    described = column(files, "class")
    assert described["title"] == "class of mine.csv"
    # SN has its colour, the other class one that is no class's here.
    assert described["colours"][described["values"].index("SN")] == palette.COLOURS[1]
    assert len(set(described["colours"])) == 2
    assert any("2 rows match" in note for note in read(files, "data/map.js")["notes"])


def test_labels_by_another_column_and_without_splits(alerts, tmp_path):
    (tmp_path / "mine.csv").write_text("oid,kind\nZTF20aaaaaab,new\n")
    files = make_map(alerts, labels=tmp_path / "mine.csv", label_column="kind", projections=["pca"])
    assert categories(files, "class")[:5] == [None, None, "new", "new", None]
    assert "split" not in [c["name"] for c in read(files, "data/map.js")["columns"]]


def test_ids_with_several_classes_have_none_and_are_counted(alerts, tmp_path):
    (tmp_path / "mine.csv").write_text(f"candid,class\n{CANDID},AGN\n{CANDID},SN\n")
    files = make_map(alerts, labels=tmp_path / "mine.csv", projections=["pca"])
    value = read(files, "data/map.js")
    assert "class" not in [c["name"] for c in value["columns"]]
    assert any("1 ids have several classes" in note for note in value["notes"])


def test_of_many_classes_the_most_frequent_are_shown(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(600, 3))
    names = [f"class {i // 2}" for i in range(596)] + ["zz"] * 4
    ids = pa.array([f"a{i}" for i in range(600)])
    write_small_catalogue(
        tmp_path / "v.parquet", vectors, object_id=ids,
        **{"class": pa.array(names), "split": pa.array(["train"] * 600)},
    )  # fmt: skip
    files = make_map(tmp_path / "v.parquet", projections=["pca"])
    shown = categories(files, "class")
    assert len(column(files, "class")["values"]) == 254
    assert shown[599] == "zz"
    assert all(value in (name, None) for value, name in zip(shown, names, strict=True))
    assert shown.count(None) == 2 * (299 - 254)


def test_input_that_has_no_map_is_one_line(alerts, tmp_path, random_vectors):
    (tmp_path / "mine.csv").write_text("candid,class\n1,AGN\n")
    broken = random_vectors.copy()
    broken[2, 1] = np.nan
    write_small_catalogue(tmp_path / "nan.parquet", broken)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    for path, options, message in [
        (tmp_path / "other.parquet", {}, "another Parquet file; expected a catalogue"),
        (tmp_path / "none.parquet", {}, "no such file"),
        (tmp_path / "nan.parquet", {}, "without a vector of finite numbers"),
        (alerts, {"labels": tmp_path / "mine.csv"}, "rows that match the catalogue"),
        (alerts, {"labels": tmp_path / "absent.csv"}, "No such file"),
        (alerts, {"projections": ["mds"]}, "one of umap, pca, tsne"),
    ]:
        with pytest.raises(InputError, match=message) as error:
            make_map(path, **{"projections": ["pca"], **options})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_catalogue_of_a_few_rows_has_a_map(tmp_path, random_vectors, n):
    write_small_catalogue(tmp_path / "v.parquet", random_vectors[:n], preview_size=9)
    files = make_map(tmp_path / "v.parquet")
    assert read(files, "data/map.js")["projections"] == ["umap", "pca", "tsne"]
    assert len(read(files, "data/details-0.js")[0]["neighbours"]) == n - 1
    assert np.isfinite(numbers(files, "projection-umap")).all()


def test_a_catalogue_is_not_changed_by_its_map(alerts):
    before = alerts.read_bytes()
    files = make_map(alerts, projections=["pca"])
    files.read("stamps/1.png")
    assert alerts.read_bytes() == before and len(read_catalogue(alerts)) == 40
