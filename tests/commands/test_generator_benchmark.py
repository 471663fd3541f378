"""The benchmark of the generators: what it compares, and its tables from given outcomes."""

from types import SimpleNamespace

from benchmarks.generator import GENERATOR, accuracy_table, blocks, cost_table, methods


def outcome(test: float, *validation: float) -> SimpleNamespace:
    points = [{"step": 100.0 * (i + 1), "validation": value} for i, value in enumerate(validation)]
    metrics = {"test": test, "validation": validation[-1]}
    return SimpleNamespace(metrics=metrics, points=points, step=100 * len(points))


FOUND = {
    GENERATOR: [outcome(0.60, 0.3, 0.6), outcome(0.64, 0.4, 0.65)],
    "full": [outcome(0.90, 0.6, 0.9), outcome(0.92, 0.5, 0.91)],
    "slow": [outcome(0.50, 0.2, 0.5), outcome(0.55, 0.2, 0.66)],
}


def test_all_students_take_the_same_steps_and_images_in_blocks_that_share_nothing():
    compared = methods("digits").values()
    assert len({(e.schedule.steps, e.schedule.batch, e.student) for e in compared}) == 1
    drawn = [(b.seed, b.draw, b.teacher) for b in blocks(3)]
    assert all(len({block[i] for block in drawn}) == 3 for i in range(3))


def test_each_method_is_compared_with_the_generator():
    lines = accuracy_table(FOUND).splitlines()
    assert lines[2].startswith(f"| {GENERATOR} | 62.0 |")
    assert lines[3].startswith("| full | 91.0 | +29.0 |")


def test_the_cost_is_counted_up_to_what_the_generator_ends_with():
    """Full is there after half of its steps in one block, after all of them in the other."""
    spent = {GENERATOR: (30.0, 2.0), "full": (3.0, 2.0), "slow": (3.0, 2.0)}
    lines = cost_table(FOUND, spent).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")][5] == "32.0"
    assert [cell.strip() for cell in lines[3].split("|")][4:7] == ["55.0 90.5", "4.5", "7.1"]
    assert "not in every block" in lines[4]
