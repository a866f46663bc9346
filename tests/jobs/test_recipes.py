"""Recipes become argument lists; no value can become a shell line, an option or a path outside its root."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepevent.errors import ParametersInvalid, RecipeInvalid
from deepevent.parameters import MAX_VALUE_LENGTH
from deepevent.recipes import (
    build_arguments,
    check_parameters,
    describe,
    load_recipes,
    parse_recipe,
    place_roots,
)

FILE = """
[recipes.det12]
help = "Train the first net"
command = ["python", "train.py"]
environment = ["HF_HOME"]
variables = {OMP_NUM_THREADS = "1"}
resume = ["--resume"]
resources = {cpus = 2, gpus = 1, memory_mb = 2048, time_limit_s = 3600}

[recipes.det12.parameters]
epochs = {type = "int", default = 10, min = 1, max = 1000, help = "passes over the data"}
learning_rate = {type = "float", default = 0.1, min = 1e-6, max = 10, option = "lr"}
batch_norm = {type = "bool", default = true, off_option = "--no-batch-norm"}
optimiser = {type = "choice", choices = ["sgd", "adam"], default = "sgd"}
note = {type = "string", pattern = "[^x]*", optional = true}
data = {type = "path", root = "data", exists = true, optional = true}
"""


def write(folder: Path, text: str = FILE) -> Path:
    path = folder / "deepevent.toml"
    path.write_text(text)
    return path


def test_defaults_and_values_become_an_argument_list(tmp_path: Path) -> None:
    """Each parameter is one argument, in the order of the recipe, behind the command."""
    (tmp_path / "data" / "faces").mkdir(parents=True)
    recipe = load_recipes(write(tmp_path))["det12"]
    arguments = build_arguments(recipe, {"epochs": "3", "batch_norm": "no", "data": "faces"}, resumed=True)
    assert arguments == [
        "python",
        "train.py",
        "--epochs=3",
        "lr=0.1",
        "--no-batch-norm",
        "--optimiser=sgd",
        f"--data={(tmp_path / 'data' / 'faces').resolve()}",
        "--resume",
    ]


LIKE = """
[recipes.second]
like = "det12"
help = "Train the second net"
resources = {cpus = 1}
parameters.epochs.default = 60
parameters.note = false
parameters.depth = {type = "int", default = 2}
"""


def test_a_recipe_like_another_has_what_it_does_not_say_itself(tmp_path: Path) -> None:
    """Keys and parameters are taken over one by one; `false` leaves a parameter out."""
    recipes = load_recipes(write(tmp_path, LIKE + FILE))
    first, second = recipes["det12"], recipes["second"]
    assert (second.command, second.environment) == (first.command, first.environment)
    assert (second.help, second.resources.cpus, second.resources.memory_mb) == (
        "Train the second net",
        1,
        None,
    )
    values = check_parameters(second, {})
    assert values == {"epochs": 60, "learning_rate": 0.1, "batch_norm": True, "optimiser": "sgd", "depth": 2}
    with pytest.raises(ParametersInvalid, match="<= 1000"):
        check_parameters(second, {"epochs": 1001})


def test_a_choice_may_stand_by_itself(tmp_path: Path) -> None:
    """`option = ""` is for choices alone: what is typed freely could become an option."""
    text = FILE.replace('default = "sgd"}', 'default = "sgd", option = ""}')
    recipe = load_recipes(write(tmp_path, text))["det12"]
    again = parse_recipe("det12", json.loads(json.dumps(describe(recipe))))
    for one in (recipe, again):
        assert "adam" in build_arguments(one, {"optimiser": "adam"})
    with pytest.raises(RecipeInvalid, match="option must be a plain word"):
        load_recipes(write(tmp_path, FILE.replace('pattern = "[^x]*"', 'option = ""')))


@pytest.mark.parametrize("base", ["nothing", "second", "third"])
def test_like_names_a_recipe_of_the_file_that_is_like_none(tmp_path: Path, base: str) -> None:
    """No chains, no circles, no unknown names."""
    text = f'[recipes.second]\nlike = "{base}"\n[recipes.third]\nlike = "det12"\n'
    with pytest.raises(RecipeInvalid, match="second: like must name a recipe of this file"):
        load_recipes(write(tmp_path, text + FILE))


def test_roots_name_places_of_the_agent(tmp_path: Path) -> None:
    """`{data}` and `{jobs}` in a root are folders of the agent, below which a path must stay."""
    text = FILE.replace('root = "data"', 'root = "{jobs}"')
    recipe = place_roots(load_recipes(write(tmp_path, text))["det12"], {"jobs": str(tmp_path / "jobs")})
    weights = tmp_path / "jobs" / "run" / "work" / "net.pt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert f"--data={weights.resolve()}" in build_arguments(recipe, {"data": "run/work/net.pt"})
    with pytest.raises(ParametersInvalid, match="leaves"):
        build_arguments(recipe, {"data": "../secret"})


def test_json_form_reads_back(tmp_path: Path) -> None:
    """What the server and the page get describes the same recipe, without the agent's folder."""
    recipe = load_recipes(write(tmp_path))["det12"]
    again = parse_recipe("det12", json.loads(json.dumps(describe(recipe))))
    assert describe(again) == describe(recipe)
    assert again.parameters == recipe.parameters
    assert again.folder == ""


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"epochs": 0}, "epochs", ">= 1"),
        ({"epochs": 1001}, "epochs", "<= 1000"),
        ({"epochs": "1e3"}, "epochs", "whole number"),
        ({"epochs": True}, "epochs", "whole number"),
        ({"learning_rate": "nan"}, "learning_rate", "finite"),
        ({"learning_rate": 1e400}, "learning_rate", "finite"),
        ({"optimiser": "lion"}, "optimiser", "one of sgd, adam"),
        ({"note": "axe"}, "note", "must match"),
        ({"note": "a\0b"}, "note", "NUL"),
        ({"note": "a" * (MAX_VALUE_LENGTH + 1)}, "note", "at most"),
        ({"note": ["a"]}, "note", "must be a string"),
        ({"batch_norm": "maybe"}, "batch_norm", "true or false"),
        ({"shell": "id"}, "shell", "is not a parameter"),
    ],
)
def test_value_that_does_not_fit_is_named(
    tmp_path: Path, values: dict[str, object], field: str, words: str
) -> None:
    """A wrong value is refused with its parameter's name and what is allowed."""
    recipe = load_recipes(write(tmp_path))["det12"]
    with pytest.raises(ParametersInvalid) as caught:
        check_parameters(recipe, values)
    assert words in caught.value.problems[field]


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    """Two wrong values are two problems; so are two wrong declarations."""
    recipe = load_recipes(write(tmp_path))["det12"]
    with pytest.raises(ParametersInvalid) as caught:
        check_parameters(recipe, {"epochs": "many", "optimiser": "lion"})
    assert set(caught.value.problems) == {"epochs", "optimiser"}
    wrong = '[recipes.a]\ncommand = "rm"\nparameters.p.type = "path"\n[recipes.b]\ncommand = []\nnope = 1\n'
    with pytest.raises(RecipeInvalid) as invalid:
        load_recipes(write(tmp_path, wrong))
    assert len(invalid.value.problems) >= 4
    assert "root" in str(invalid.value)
    assert "nope" in str(invalid.value)


@pytest.mark.parametrize("variable", ["LD_PRELOAD", "BASH_ENV", "A=B", ""])
def test_variable_that_loads_code_is_refused(variable: str) -> None:
    """A recipe can neither pass on nor set a variable that makes a program load foreign code."""
    for table in ({"environment": [variable]}, {"variables": {variable: "x"}}):
        with pytest.raises(RecipeInvalid, match="not allowed"):
            parse_recipe("r", {"command": ["x"], **table})


@pytest.mark.parametrize(
    "value", ["../secret", "/etc/passwd", "faces/../../secret", "link/passwd", "~/x/../../.."]
)
def test_path_stays_below_its_root(tmp_path: Path, value: str) -> None:
    """Dots, absolute paths and links lead out of the root and are refused."""
    (tmp_path / "data" / "faces").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "data" / "link").symlink_to("/etc")
    recipe = load_recipes(write(tmp_path))["det12"]
    with pytest.raises(ParametersInvalid) as caught:
        build_arguments(recipe, {"data": value})
    assert "data" in caught.value.problems


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
RECIPE = parse_recipe("any", {"command": ["prog"], "parameters": {"text": {"type": "string"}}})


@given(TEXT | st.sampled_from(["; rm -rf ~", "$(id)", "`id`", "--help", "-c", "a\nb", "{text}", "%s", "'\""]))
def test_any_text_is_one_argument(text: str) -> None:
    """Whatever a text holds, it is the value of its own option and nothing else."""
    assert build_arguments(RECIPE, {"text": text}) == ["prog", f"--text={text}"]


@pytest.mark.parametrize("text", ["; rm -rf ~", "$(touch owned)", "`touch owned`", "--flag", "a\nb", "*"])
def test_hostile_value_arrives_as_that_very_string(tmp_path: Path, text: str) -> None:
    """A real process finds the value in its argument list, letter for letter."""
    command = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]
    recipe = parse_recipe("echo", {"command": command, "parameters": {"text": {}}})
    printed = subprocess.run(
        build_arguments(recipe, {"text": text}), cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert json.loads(printed.stdout) == [f"--text={text}"]
    assert list(tmp_path.iterdir()) == []


@given(st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_numbers_round_trip_through_texts(whole: int, real: float, flag: bool) -> None:
    """A number given as text, as on a command line, is the same number, to the last bit."""
    kinds = {"whole": {"type": "int"}, "real": {"type": "float"}, "flag": {"type": "bool", "option": "flag"}}
    recipe = parse_recipe("n", {"command": ["prog"], "parameters": kinds})
    given_values = {"whole": whole, "real": real, "flag": flag}
    texts = {"whole": str(whole), "real": repr(real), "flag": str(flag)}
    assert check_parameters(recipe, texts) == check_parameters(recipe, given_values) == given_values
    _, a, b, c = build_arguments(recipe, texts)
    assert int(a.removeprefix("--whole=")) == whole
    assert float(b.removeprefix("--real=")) == real
    assert c == f"flag={str(flag).lower()}"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | TEXT, lambda s: st.lists(s) | st.dictionaries(TEXT, s)
    )
)
def test_any_table_is_read_or_refused(table: object) -> None:
    """No JSON value whatever makes the parser fall over."""
    for attempt in (
        table,
        {"command": ["x"], "parameters": table},
        {"command": ["x"], "parameters": {"p": table}},
    ):
        try:
            parse_recipe("r", attempt)
        except RecipeInvalid as error:
            assert error.problems
