"""What the protocol found to help and a recipe at hand does without, though it could have it."""

from dfkd.experiment import Experiment
from dfkd.method.losses import FitNet, Sizes
from dfkd.models.networks import Tapped
from dfkd.models.teachers import TrainedNetwork
from dfkd.seeding import drawing_from

MAPS, MIXTURES = "maps", "mixtures"


def untried(experiment: Experiment, teacher: TrainedNetwork) -> tuple[str, ...]:
    """Return MAPS and MIXTURES, or those of them that the recipe lacks and its networks allow.

    Mixtures were measured in the place of clean images, and beside the teacher's maps.
    """
    if experiment.reads_labels:
        return ()
    has_maps = "maps" in experiment.needs()
    if not has_maps and not maps_fit(experiment, teacher):
        return ()
    lacking = {MAPS: not has_maps, MIXTURES: experiment.views is None}
    return tuple(name for name, lacks in lacking.items() if lacks)


def maps_fit(experiment: Experiment, teacher: TrainedNetwork) -> bool:
    """Say whether `FitNet` can pair the maps of student and teacher; each is built once."""
    task, networks = experiment.task, (experiment.student, teacher.network)
    if not all(network.stages for network in networks):
        return False
    with drawing_from(0, "cpu"):
        student, taught = (
            Tapped(n.build(task.classes, task.image_shape[2]), n.stages).map_shapes(
                task.image_shape
            )
            for n in networks
        )
        sizes = Sizes(
            classes=task.classes,
            student_width=1,  # widths are those of features, which it does not read
            teacher_width=1,
            student_maps=student,
            teacher_maps=taught,
        )
        try:
            FitNet().module(sizes)
        except ValueError:  # too few stages, or maps of sizes that it cannot pair
            return False
    return True
