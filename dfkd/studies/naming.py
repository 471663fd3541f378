"""From a module's name, and what is asked of it, to the study and the name it is recorded under."""

from collections.abc import Mapping
from dataclasses import dataclass

from dfkd.experiment.recipes import recipe_named
from dfkd.experiment.settings import Settings, suffix
from dfkd.studies.study import Study
from dfkd.user_modules import load, load_a, of_kind, users_code


@dataclass(frozen=True, kw_only=True)
class NamedStudy:
    """A study with the name of its folder. lines: what is set in it, one for each parameter."""

    name: str
    study: Study
    lines: tuple[str, ...] = ()


def study_named(
    module: str, recipe: str | None = None, values: Mapping[str, str] | None = None
) -> NamedStudy:
    """Return the study of this module, asked of another recipe and with values set.

    values: parameter -> text; a variant that changes one of them itself keeps its own. Raises
    ValueError for what the module or the recipe has not, and for values that change nothing.
    """
    name = module.split(".")[-1]
    if recipe is None:
        study = load_a(Study, module, "study", "ablations")
    else:
        study_of = load(module, "study_of", "ablations")
        with users_code():
            study = of_kind(
                Study, study_of(recipe_named(recipe)), f"what {module}.study_of returns"
            )
        name = f"{name}-{recipe.split('.')[-1]}"
    if not values:
        return NamedStudy(name=name, study=study)
    settings = Settings(values=values, base=study.variants[study.baseline])
    lines = tuple(settings.lines())
    if not lines:
        raise ValueError(f"--set changes nothing: the recipe has {', '.join(values)} as it is")
    name = f"{name}-{suffix(values)}"
    return NamedStudy(name=name, study=study.changed(settings), lines=lines)
