import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.strict_yaml import read_yaml
from ztfrep.errors import InputError
from ztfrep.fields import resolve_path
from ztfrep.params import params_with_networks, read_params

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "params.yaml").read_text()
DEFAULT = yaml.safe_load(TEXT)


def read(tmp_path, **changes):
    content = copy.deepcopy(DEFAULT)
    for key, value in changes.items():
        table = content
        *tables, last = key.split("__")
        for name in tables:
            table = table[name]
        table[last] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return read_params(path)


def test_epochs_are_the_budget_of_the_source_unless_they_are_set(tmp_path):
    budget = DEFAULT["budget"]["local"]
    params = read(tmp_path, source="local", autoencoder__invariant__epochs=0)
    assert params.epochs("autoencoder") == 0
    assert params.epochs("recurrent") == budget["recurrent_epochs"]


def test_an_integer_is_a_number(tmp_path):
    assert read(tmp_path, sources__sample__scale=1).sources.sample.scale == 1.0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        # A misspelling is met with its neighbour.
        ("autoencoder.invariant.latentdim", 64, "did you mean 'latent_dim'?"),
        ("sed", 1, "did you mean 'seed'?"),
        ("sources.sample.sale", 1, "did you mean 'scale'?"),
        ("autoencoder.architecture", "best", "'best' (str); expected 'invariant' or 'published'"),
        ("autoencoder.invariant.learning_rate", "fast", "'fast' (str)"),
        ("seed", "7", "'7' (str); expected a valid integer greater than or equal to 0"),
        ("seed", "7", "write a number without quotes, such as 0.001 or 1.0e-3"),
        ("sources.alerts.label_column", 5, "write it in quotes"),
        ("sources.drive.encoded", "yes", "write true or false"),
        # True is 1 to Python, not to us.
        ("autoencoder.invariant.latent_dim", True, "valid integer"),
        ("autoencoder.published.loss", "mse", "'published' or 'cross_entropy'"),
        ("autoencoder.invariant.epochs", -1, "greater than or equal to 0"),
        ("sources.sample.scale", float("nan"), "nan"),
        ("autoencoder.invariant.latent_dim", 1, "greater than or equal to 2"),
        ("recurrent.temporal.batch_size", 0, "greater than or equal to 1"),
        ("evaluate.forest_excluded_features", ["rbb"], "'rbb'"),
        ("autoencoder", 3, "3 (int)"),
        # A parameter of another architecture.
        ("autoencoder.published.noise", 0.1, "found an unknown key"),
    ],
)
def test_a_wrong_parameter_is_named_by_its_path(tmp_path, key, value, message):
    with pytest.raises(InputError) as error:
        read(tmp_path, **{key.replace(".", "__"): value})
    text = str(error.value)
    assert f"params.yaml: {key}" in text
    assert message in text
    assert "\n" not in text


def refusal(path):
    with pytest.raises(InputError) as error:
        read_params(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    assert len(text) - len(str(path)) < 600
    return text


def written(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def numbers(schema, table, key=""):
    """Every number of a JSON schema, as `key, schema`."""
    if "$ref" in table:
        table = schema["$defs"][table["$ref"].rpartition("/")[2]]
    for part in table.get("anyOf", []):
        yield from numbers(schema, part, key)
    for name, part in table.get("properties", {}).items():
        yield from numbers(schema, part, f"{key}.{name}".strip("."))
    if table.get("type") in ("integer", "number"):
        yield key, table


SCHEMA = params_with_networks().model_json_schema()
NUMBERS = dict(numbers(SCHEMA, SCHEMA))


def test_every_number_of_the_file_has_bounds():
    def leaves(table, key=""):
        for name, value in table.items():
            inner = f"{key}.{name}".strip(".")
            yield from leaves(value, inner) if isinstance(value, dict) else [(inner, value)]

    numeric = {key for key, value in leaves(DEFAULT) if type(value) in (int, float)}
    assert numeric < set(NUMBERS)
    assert set(NUMBERS) - numeric == {
        "autoencoder.invariant.epochs",
        "recurrent.temporal.epochs",
    }  # null
    for key, schema in NUMBERS.items():
        assert {"minimum", "exclusiveMinimum"} & set(schema), key
        assert {"maximum", "exclusiveMaximum"} & set(schema), key


@pytest.mark.parametrize(
    ("key", "value"), [*((key, 2**70) for key in NUMBERS), ("seed", -1), ("threads", 10**38)]
)
def test_a_number_beyond_its_bounds_is_refused_with_both(tmp_path, key, value):
    with pytest.raises(InputError) as error:
        read(tmp_path, **{key.replace(".", "__"): value})
    text = str(error.value)
    assert f"params.yaml: {key}: found {value} (int); expected a valid " in text
    assert " greater than " in text
    assert " and less than " in text
    assert NUMBERS[key]["type"] in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        # More than the principal components of the pixels.
        ("autoencoder.invariant.latent_dim", 1324),
        ("autoencoder.published.latent_dim", 10_000_000),
        ("recurrent.temporal.hidden", 1_000_000),
        ("recurrent.published.layers", 1000),
        ("threads", 2**40),
        ("encode.batch_size", 2**70),
        ("evaluate.forest_trees", 10**9),
        ("autoencoder.invariant.learning_rate", 1e15),
        ("sources.drive.timeout", 1e18),
        ("autoencoder.invariant.noise", 1e300),
    ],
)
def test_a_number_that_exhausts_a_machine_is_refused(tmp_path, key, value):
    with pytest.raises(InputError, match=f"{key}: found {str(value).replace('+', '.')}"):
        read(tmp_path, **{key.replace(".", "__"): value})


def test_the_longest_vector_has_as_many_numbers_as_there_are_components(tmp_path):
    params = read(tmp_path, autoencoder__invariant__latent_dim=1323)
    assert params.autoencoder.config.latent_dim == 1323


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"recurrent__temporal__cell": "attention", "recurrent__temporal__hidden": 30},
            "recurrent.temporal: found hidden 30 with cell attention; expected a multiple of 4",
        ),
        (
            {"recurrent__published__cell": "attention"},
            "recurrent.published.cell: found 'attention' (str); expected 'gru' or 'lstm'",
        ),
        (
            {
                "autoencoder__published__reconstruction_weight": 0,
                "autoencoder__published__classification_weight": 0,
            },
            "autoencoder.published: found reconstruction_weight and classification_weight are both",
        ),
        (
            {"evaluate__forest_excluded_features": list(ALERCE_FEATURES.names)},
            "evaluate: found forest_excluded_features of every feature; expected one left; shorten",
        ),
        (
            {"evaluate__encodings": "published", "source": "drive"},
            "found evaluate.encodings published with source drive and sources.drive.encoded false; "
            "expected the downloaded encodings; add -S source=drive -S sources.drive.encoded=true",
        ),
    ],
)
def test_values_that_cannot_go_together_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError) as error:
        read(tmp_path, **changes)
    assert message in str(error.value)


def test_the_file_is_read_as_another_yaml_reader_reads_it():
    assert json.dumps(DEFAULT) == json.dumps(read_yaml(ROOT / "params.yaml"))


@pytest.mark.parametrize(
    "folder_id",
    ["../..", "..", ".", "", "/etc", "a" * 9, "a" * 101, "1vqfoxF/KyMNnLxABZZ", "1vqfoxF-KyMNnLx\n",
     "1vqfoxF-KyMN\0nLx", "https://drive.google.com/drive/folders/1vqfoxF-KyMNnLxABZZ_kb7"],
)  # fmt: skip
def test_a_folder_id_of_another_form_is_refused(tmp_path, folder_id):
    with pytest.raises(InputError) as error:
        read(tmp_path, sources__drive__pickles=folder_id)
    assert "sources.drive.pickles: found " in str(error.value)
    assert str(error.value).isprintable()


# Numbers and text that PyYAML, by YAML 1.1, converts to values of another type.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-05", 1e-05),  # as DVC writes -S autoencoder.learning_rate=0.00001
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        ("1_000", 1000),
        ("-.5", -0.5),
        ("+3", 3),
        ("12:30", "12:30"),
        ("on", "on"),
        ("yes", "yes"),
        ("2020-01-01", "2020-01-01"),
        ("0x10", "0x10"),
        ("=", "="),
        ("true", True),
        ("~", None),
        ("", None),
        ("'1e-05'", "1e-05"),
        ('"null"', "null"),
        ("[1, a, [2.5]]", [1, "a", [2.5]]),
        ("{b: 1}", {"b": 1}),
    ],
)
def test_yaml_is_read_as_dvc_reads_it(tmp_path, text, value):
    read_back = read_yaml(written(tmp_path, f"a: {text}\n"))
    assert read_back == {"a": value}
    assert type(read_back["a"]) is type(value)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(9 * [f'*{inner}'])}]\n"
    for inner, name in zip("abcdefg", "bcdefgh", strict=True)
)


def with_seed(value):
    return TEXT.replace("seed: 7 ", f"seed: {value} ", 1)


REFUSED = {
    "empty": ("", "found no such table"),
    "a number": ("3", "found no such table"),
    "a list": ("- a\n", "found no such table"),
    "an alias": ("a: &x 1\nb: *x\n", "an alias, '*x', in line 2"),
    "a bomb": (BOMB, "an alias, '*a', in line 2"),
    "a bomb behind the parameters": (TEXT + BOMB, "an alias, '*a', in line "),
    "a merge key": ("a: {<<: {b: 1}}", "a merge key, <<, in line 1"),
    "deep lists": ("a: " + "[" * 30_000, "more than 10 tables in one another, in line 1"),
    "deep tables": ("".join(" " * i + "a:\n" for i in range(100)), "more than 10 tables"),
    "a key twice": (TEXT + "seed: 8\n", "seed: found the key twice, in lines "),
    "an inner key twice": ("a: {b: 1, b: 2}", "a.b: found the key twice, in lines 1 and 1"),
    "a table twice": (TEXT + "encode: {batch_size: 1}\n", "encode: found the key twice"),
    "python": ("seed: !!python/object/apply:os.system [id]", "a tag, 'tag:yaml.org,2002:python/"),
    "binary": ("a: !!binary aGk=", "a tag, 'tag:yaml.org,2002:binary'"),
    "a timestamp": ("a: !!timestamp 2020-01-01", "a tag, 'tag:yaml.org,2002:timestamp'"),
    "another tag": ("a: !foo 1", "a tag, '!foo', in line 1"),
    "a long tag": (f"a: !{'x' * 30_000} 1", "a tag, '!xxxx"),
    "a table as a key": ("? {a: 1}\n: 2", "a table or a list as a key, in line 1"),
    "a long key": (f'{"k" * 500}: 1', "the key 'kkk"),
    "a key with an escape": ('"a\\e[2J": 1', r"the key 'a\x1b[2J'"),
    "a tab": ("a:\n\tb: 1", "found a tab in line 2; expected YAML; indent with blanks"),
    "NUL": (TEXT + "\0", r"the character '\x00'"),
    "bytes": (b"\xff\xfe\0", "whose byte 1 is not UTF-8"),
    "latin-1": ("a: é".encode("latin-1"), "whose byte 4 is not UTF-8"),
    "gzip": (b"\x1f\x8b\x08" + bytes(range(256)), "a gzip file"),
    "two documents": (TEXT + "---\na: 1\n", "another document"),
    "open": ("source: [", "in line 1"),
    "32 kB": (TEXT + "#" * (1 << 15), "a file of more than 32,768 bytes"),
    "10 MB of digits": ("seed: " + "9" * 10_000_000, "a file of more than 32,768 bytes"),
    "30,000 digits": ("seed: " + "9" * 30_000, "seed: found a number of 30,000 characters"),
    "30,000 decimals": ("seed: 0." + "9" * 30_000, "seed: found a number of 30,002 characters"),
    "10,000 letters": (with_seed("x" * 10_000), "seed: found 'xxx"),
    "10,000 escapes": ('seed: "' + "\\e" * 10_000 + '"', r"seed: found text with the character"),
    "a long list": (with_seed(f"[{'1,' * 5_000}]"), "seed: found a list; expected a valid"),
    "a table in place of a number": (with_seed("{a: 1}"), "seed: found a table; expected a valid"),
    "many keys": ("".join(f"k{i}: 1\n" for i in range(3000)), "k0: found an unknown key"),
    "NaN": ("seed: .nan", "seed: found .nan; expected a finite number"),
    "infinite": ("seed: -.INF", "seed: found -.INF; expected a finite number"),
    "too large": ("seed: 1e400", "seed: found 1e400; expected a finite number"),
    "a huge escape": ('seed: "\\U00110000"', "expected YAML"),
    "half of a pair": ('seed: "\\ud800"', r"text with the character '\ud800'"),
    "a huge version": (f"%YAML {'9' * 5000}.1\n---\nseed: 1", "expected YAML"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_holds_no_parameters_is_refused(tmp_path, content, message):
    assert message in refusal(written(tmp_path, content))


def test_a_path_that_is_no_file_is_refused(tmp_path):
    assert "found a folder; expected a file" in refusal(tmp_path)
    assert "found something that is not a file" in refusal(Path("/dev/zero"))


@pytest.mark.parametrize("name", ["a bomb", "deep lists", "10 MB of digits", "many keys"])
def test_a_refusal_takes_little_time_and_memory(tmp_path, name):
    path = written(tmp_path, REFUSED[name][0])
    program = f"""
import resource, time
from ztfrep.errors import InputError
from ztfrep.fields import resolve_path
from ztfrep.params import read_params
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    read_params({str(path)!r})
except InputError:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(time.process_time() - start, used / 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 2
    assert megabytes < 100


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="run from the repository's root"):
        read_params(tmp_path / "params.yaml")


def test_a_path_parameter_is_absolute_and_exists(tmp_path):
    assert resolve_path("autoencoder.weights", "data/none") is None
    assert resolve_path("autoencoder.weights", __file__) == Path(__file__)
    with pytest.raises(InputError, match=r"autoencoder\.weights: found the relative path 'a\.pth'"):
        resolve_path("autoencoder.weights", "a.pth")
    with pytest.raises(InputError, match="found no file at"):
        resolve_path("autoencoder.weights", str(tmp_path / "a.pth"))
    for path in ("/" + "a" * 4000, "/a\nb", "/\x1b[2J"):
        with pytest.raises(InputError, match="found no file at") as error:
            resolve_path("autoencoder.weights", path)
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 600


def leaves(table, key=""):
    for name, value in table.items():
        inner = f"{key}.{name}".strip(".")
        yield from leaves(value, inner) if isinstance(value, dict) else [inner]


def description(key):
    """The description of a parameter in its typed class."""
    kind = params_with_networks()
    *tables, last = key.split(".")
    for name in tables:
        kind = kind.model_fields[name].annotation
    return " ".join((kind.model_fields[last].description or "").split()).rstrip(".")


def comments(text):
    """The comment of every leaf of a YAML text: behind its value, and on the lines below it."""
    texts, path, key = {}, [], None
    for line in text.splitlines():
        match = re.match(r"( *)(\w+):(?: ([^#]*\S))?(?: +# (.*))?$", line)
        if match:
            depth = len(match[1]) // 2
            path = [*path[:depth], match[2]]
            key = ".".join(path) if match[3] else None
            texts |= {key: match[4] or ""} if key else {}
        elif key and re.match(r" +# ", line):
            texts[key] += " " + line.strip()[2:]
    return texts


def test_the_comments_of_the_file_are_the_descriptions_of_the_types():
    assert comments(TEXT) == {key: description(key) for key in leaves(DEFAULT)}
    assert all(comments(TEXT).values())


def test_without_networks_the_rest_is_checked_and_torch_is_not_imported():
    program = (
        "import sys; from ztfrep.params import read_params; "
        "print(read_params(networks=False).seed, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "7 False\n"


def test_the_published_architecture_brings_its_recipe(tmp_path):
    params = read(tmp_path, autoencoder__architecture="published")
    assert params.autoencoder.config.loss == "published"
    assert params.epochs("autoencoder") == 60
