"""Which implicit loss helps?

Every one at its reference weight, against none; the rest of the recipe as it is.

Reference weights come from other tasks and networks: a loss that loses here may win at another
weight. A loss that compares two views of an image needs views, which the recipe may not have: it
stands beside the recipe with these views and without an implicit loss.

`python -m platform.ablate ablations.implicit_losses`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.data.images.transforms import Crop
from dfkd.experiment import Experiment
from dfkd.identity import name_of
from dfkd.method.losses import IMPLICIT, Both, Loss, NTXent, TeacherContrast, needs_of
from dfkd.studies import Study

VIEWS = Crop(padding=1, flip=False)  # a digit is not its mirror image
# its two relations; their weights are not known to us
ODSD = Both(first=NTXent(), second=TeacherContrast())


def with_loss(full: Experiment, loss: Loss) -> tuple[str, Experiment]:
    if "second_view" in needs_of(loss) and full.views is None:
        return f"{name_of(loss)}, views", replace(full, implicit=loss, views=VIEWS)
    return name_of(loss), replace(full, implicit=loss)


def study_of(full: Experiment) -> Study:
    """The recipe's own loss at the recipe's weight."""
    losses = [full.implicit, *(kind() for kind in IMPLICIT if kind is not type(full.implicit))]
    variants = {"none": replace(full, implicit=None)} | dict(
        with_loss(full, loss) for loss in losses
    )
    views = full.views or VIEWS
    variants["nt_xent and teacher_contrast, views"] = replace(full, implicit=ODSD, views=views)
    if any(e.views != full.views for e in variants.values()):
        variants["none, views"] = replace(full, implicit=None, views=VIEWS)
    return Study(question="Which implicit loss helps?", variants=variants, baseline="none")


study = study_of(recipes.digits())
