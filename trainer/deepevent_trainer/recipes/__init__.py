"""Recipes: families of nets by name, and which of them make a cascade."""

from __future__ import annotations

from deepevent.errors import SettingsError
from deepevent_trainer.plans import Plan
from deepevent_trainer.recipes import article, best, inceptron, multiresolution, paper, regression

RECIPES: dict[str, dict[str, Plan]] = {
    "article": article.PLANS,
    "paper": paper.PLANS,
    "multiresolution": multiresolution.PLANS,
    "inceptron": inceptron.PLANS,
    "regression": regression.PLANS,
    "best": best.PLANS,
}
# Recipes with a whole cascade, and the order in which its nets are trained and run.
CASCADES: dict[str, tuple[str, ...]] = {
    "article": ("det12", "cal12", "det24", "cal24", "det48", "cal48"),
    "paper": ("det12", "cal12", "det24", "cal24", "det48", "cal48"),
    "best": ("det12", "det24", "det48"),
}


def plan_of(name: str, recipe: str = "article") -> Plan:
    """Return the plan of net `name` in `recipe`.

    Raises:
        SettingsError: if there is no such recipe or net.
    """
    nets = RECIPES.get(recipe)
    if nets is None:
        raise SettingsError(f"there is no recipe {recipe!r}; there are {', '.join(RECIPES)}")
    if name not in nets:
        raise SettingsError(f"recipe {recipe!r} has no net {name!r}; it has {', '.join(nets)}")
    return nets[name]
