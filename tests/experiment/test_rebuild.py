"""Any run again: from its parameters, a cell's name or MLflow's id, and with changes."""

import argparse
import importlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import PROJECTS
from synthetic import jobs_of, outcome, write_cell, write_study

import ablations
from ablations.components import study as components
from dfkd import cli
from dfkd.data.pools import ParquetPool
from dfkd.experiment import Experiment
from dfkd.experiment.rebuild import changed, experiment, parse_changes
from dfkd.experiment.recipes import RECIPES, digits
from dfkd.export.card import card
from dfkd.export.folder import Student
from dfkd.method.losses import KD, KDS, PKT, Both, Similarity
from dfkd.method.sampling import ClassBalanced
from dfkd.method.selection import Balanced, Confident, Dynamic, Random
from dfkd.models.networks import CifarResNet, SmallResNet, WideResNet
from dfkd.models.teachers import TeacherFile
from dfkd.runs.finding import find_cell, find_outcome
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.studies import Study
from dfkd.tracking import Tracker


def everything() -> Iterator[Experiment]:
    yield from (recipe() for recipe in RECIPES.values())
    for path in sorted(Path(ablations.__file__).parent.glob("[!_]*.py")):
        yield from importlib.import_module(f"ablations.{path.stem}").study.variants.values()
    yield replace(digits(), selection=Dynamic(rule=Balanced(rows=300), every=2))
    yield replace(digits(), pool=ParquetPool(path="a folder"))
    for network in (
        CifarResNet(depth=18),
        WideResNet(depth=16, width=2),
        SmallResNet(width=8, norm="group"),
    ):
        yield replace(digits(), student=network)
    yield from (replace(digits(), kd=kind()) for kind in KDS if not kind.reads_labels)
    yield replace(
        digits(), implicit=Both(first=Similarity(weight=1.0, tau=0.3), second=PKT(weight=100.0))
    )


def test_every_experiment_of_ours_is_rebuilt_from_its_parameters_also_as_text() -> None:
    for e in everything():
        assert experiment(e.params()).fingerprint() == e.fingerprint()
        assert (
            experiment({name: str(value) for name, value in e.params().items()}).params()
            == e.params()
        )


def test_a_run_from_before_samplings_and_fill_is_told_apart_from_one_with_them() -> None:
    """Neither moved an identity: what an old record does not say is what it was."""
    params = {name: v for name, v in digits().params().items() if name != "selection.fill"}
    assert "sampling" not in params and experiment(params) == digits()
    with_both = changed(
        experiment(params),
        {"sampling": "class_balanced", "sampling.most_repeats": "4", "selection.fill": "false"},
    )
    assert with_both.sampling == ClassBalanced(most_repeats=4)
    assert with_both.params()["sampling.most_repeats"] == 4
    assert with_both.selection == Balanced(ratio=0.1, fill=False)
    assert changed(with_both, {"sampling": "none", "selection.fill": "true"}) == digits()
    assert len({e.fingerprint() for e in (digits(), with_both)}) == 2


def test_a_changed_value() -> None:
    e = changed(digits(), {"selection.ratio": "0.3", "schedule.steps": "50", "implicit.tau": "1"})
    assert e.selection.ratio == 0.3 and e.schedule.steps == 50
    assert set(e.diff(digits())) == {"selection.ratio", "schedule.steps", "implicit.tau"}


def test_another_kind_takes_over_what_it_shares_and_forgets_the_rest() -> None:
    e = changed(digits(), {"selection": "random"})
    assert e.selection.ratio == digits().selection.ratio and type(e.selection).__name__ == "Random"
    assert changed(digits(), {"dropping": "none"}).dropping is None
    assert (
        changed(
            changed(digits(), {"dropping": "none"}), {"dropping": "tail", "dropping.rate": "0.3"}
        )
        == digits()
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"selection.rato": "0.3"}, "no parameter 'selection.rato': did you mean selection.ratio"),
        ({"rate": "0.3"}, "no parameter 'rate': did you mean dropping.rate"),
        ({"selection": "balance"}, "selection has no kind 'balance': did you mean balanced"),
        (
            {"selection.ratio": "a third"},
            "selection.ratio must be float or None, but got 'a third'",
        ),
        ({"selection.ratio": "3"}, "selection.ratio must lie in"),
        ({"schedule.steps": "1.5"}, "schedule.steps must be int, but got '1.5'"),
        (
            {"dropping": "nucleus"},
            "do not say what dropping.mass is: set it with --set dropping.mass",
        ),
        (
            {"explicit": "os.path.join"},
            "a class of your own: name its module with --module os.path",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_the_nearest(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(digits(), change)


def test_a_run_of_another_version_is_not_taken_for_what_it_is_not() -> None:
    params = digits().params()
    with pytest.raises(
        ValueError, match=r"a parameter 'selection.charm' that this version does not know"
    ):
        experiment({**params, "selection.charm": 1.0})
    # before there were rows
    old = {name: value for name, value in params.items() if name != "selection.rows"}
    assert experiment(old) == digits()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["selection.rows=99"], Balanced(rows=99)),
        (["selection=random", "selection.rows=99"], Random(rows=99)),
        (["selection=confident", "selection.ratio=0.2"], Confident(ratio=0.2)),
        (["selection.rows=99", "selection.ratio=none"], Balanced(rows=99)),
        (["selection.threshold=0.5"], Balanced(ratio=0.1, threshold=0.5)),
    ],
)
def test_of_two_ways_to_say_one_thing_the_changed_one_counts(
    given: list[str], expected: object
) -> None:
    assert changed(digits(), parse_changes(given)).selection == expected


def test_a_way_that_was_changed_gives_way_also_inside_another_rule() -> None:
    e = replace(digits(), selection=Dynamic(rule=Balanced(rows=300), every=2))
    by_ratio = changed(e, {"selection.rule.ratio": "0.2"})
    assert by_ratio.selection == Dynamic(rule=Balanced(ratio=0.2), every=2)
    with pytest.raises(ValueError, match=r"either selection\.ratio or"):
        changed(digits(), {"selection.ratio": "0.2", "selection.rows": "9"})


def test_set_takes_name_and_value() -> None:
    assert parse_changes(["a.b=1", "c=x=y"]) == {"a.b": "1", "c": "x=y"}
    with pytest.raises(ValueError, match="--set takes name=value"):
        parse_changes(["selection.ratio"])
    assert parse_changes(["a.b=1", "a.b=1"]) == {"a.b": "1"}
    with pytest.raises(ValueError, match=r"gives a\.b twice, 1 and 2"):
        parse_changes(["a.b=1", " a.b = 2"])


@pytest.fixture
def own_loss(write_module: Callable[..., None]) -> Experiment:
    for name in ("tiny_space", "own_loss"):
        write_module(name, (PROJECTS / f"{name}.py").read_text())
    made: Experiment = importlib.import_module("own_loss").experiment
    return made


def test_a_class_of_the_users_comes_only_from_a_module_that_the_user_names(
    own_loss: Experiment,
) -> None:
    params = {name: str(value) for name, value in own_loss.params().items()}
    with pytest.raises(ValueError, match="--module own_loss"):
        experiment(params)
    assert experiment(params, modules=["own_loss"]).fingerprint() == own_loss.fingerprint()
    assert changed(own_loss, {"explicit.weight": "3"}).explicit.weight == 3.0
    with pytest.raises(ValueError, match="no module nowhere"):
        experiment({**params, "explicit": "nowhere.Mean"}, modules=["nowhere"])


def test_the_module_of_a_class_is_in_printed_commands_and_compare_takes_it(
    own_loss: Experiment, tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    variants = {"own": own_loss, "none": replace(own_loss, explicit=None)}
    study = Study(question="?", variants=variants, baseline="own", blocks=2)
    write_study(tmp_path / "runs", "parts", study, {})
    asked = ("parts", "--storage", "runs", "--no-log", "--module", "own_loss")
    done = run_command("compare", *asked, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    report = tmp_path / "runs" / "studies" / "parts" / "report" / "index.html"
    assert "no images: the pool and the teacher" in report.read_text()  # not: name its module
    cell = outcome(jobs_of(study)["own", 0], 0.9)
    student = Student(cell=cell.cell, experiment=own_loss, weights={})
    command = f"platform.distill --run {cell.cell} --module own_loss`"
    assert command in card(student, cell, [], "images", "this machine")


def options(*arguments: str) -> argparse.Namespace:
    parser = cli.parser("distill", "", "")
    cli.add_recipe(parser)
    cli.add_compute(parser)
    return parser.parse_args(arguments)


def test_recipe_run_and_changes_on_the_command_line(tmp_path: Path) -> None:
    job = jobs_of(components)["without dropping", 3]
    write_cell(tmp_path, job, 0.9)
    where = ("--storage", str(tmp_path))
    assert cli.cell_of(options()).experiment == digits()
    again = cli.cell_of(options("--run", job.name[:8], *where))
    assert again == job.cell
    changed_cell = cli.cell_of(
        options("--run", job.name, "--set", "kd.temperature=2", "--seed", "9", *where)
    )
    assert changed_cell.experiment == replace(job.cell.experiment, kd=KD(temperature=2.0))
    assert changed_cell.block == Block(seed=9)
    with pytest.raises(ValueError, match="a recipe or a run, not both"):
        cli.cell_of(options("digits", "--run", job.name, *where))
    assert cli.arguments_of(options("digits", "--set", "views=none")) == "digits --set views=none"
    told = cli.arguments_of(
        options("--run", "a1", "--from", "old", "--storage", "a b", "--seed", "0")
    )
    assert told == "--run a1 --from old --seed 0 --storage 'a b'"


def test_a_run_is_found_in_mlflow_by_its_id_where_the_ledger_has_it_not(tmp_path: Path) -> None:
    outcome = write_cell(tmp_path, jobs_of(components)["full", 2], 0.9)
    with closing(Tracker(FolderStorage(tmp_path), warn=pytest.fail)) as tracker:
        tracker.cell(outcome, None, role="single", name="cell", tags={})
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(uri)
    [stored] = client.search_runs([client.get_experiment_by_name("dfkd").experiment_id])
    found = find_outcome(stored.info.run_id, FolderStorage(tmp_path / "elsewhere"), uri)
    assert experiment(found.params) == digits() and found.block == outcome.block
    with pytest.raises(ValueError, match="there is no run and no cell 'nothing'"):
        find_outcome("nothing", FolderStorage(tmp_path / "elsewhere"), uri)
    with pytest.raises(ValueError, match="there is no cell 'nothing' in"):
        find_outcome("nothing", FolderStorage(tmp_path / "elsewhere"), None)


def test_a_beginning_that_several_cells_share_names_none(tmp_path: Path) -> None:
    for name in ("abcde1-x", "abcde2-x"):
        (tmp_path / "cells" / name).mkdir(parents=True)
    assert (
        find_cell("abcde1", FolderStorage(tmp_path)) == "abcde1-x"
        and find_cell("abc", FolderStorage(tmp_path)) is None
    )
    with pytest.raises(ValueError, match="2 cells begin with 'abcde'"):
        find_cell("abcde", FolderStorage(tmp_path))


def test_show_tells_the_cell_its_studies_and_how_to_compute_it_alone(
    tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    record = write_study(tmp_path, "parts", replace(components, blocks=2), {})
    cell = record.cells["without dropping"][1]
    shown = run_command("show", cell[:10], "--storage", str(tmp_path), folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for expected in (
        "finished at step 200",
        "selection.ratio",
        "validation",
        "teacher0",
        "cpu AVX2",
        "in the study parts: without dropping, block 1",
        f"python -m platform.distill --run {cell} --from {tmp_path} --test",
    ):
        assert expected in shown.stdout


def test_show_tells_why_a_cell_has_no_outcome(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dfkd.reporting.console import Console
    from dfkd.runs.terminal import print_cell
    from dfkd.storage import FolderStorage
    from dfkd.storage.ledger import Ledger

    Ledger(FolderStorage(tmp_path)).write_error("abcde", "out of memory")
    print_cell("abcde", FolderStorage(tmp_path), Console())
    assert "out of memory" in capsys.readouterr().out


def test_a_teacher_file_keeps_its_network() -> None:
    e = replace(digits(), teacher=TeacherFile(path="weights.safetensors", network=digits().student))
    assert experiment(e.params()) == e
