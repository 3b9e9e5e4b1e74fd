"""One folder for each method; all are found through ``METHODS``, and imported when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weakseg.data.dataset import Dataset
    from weakseg.methods.recipe import Recipe
    from weakseg.pipeline.plan import Step


@dataclass(frozen=True)
class Method:
    """How a method is configured, and how its plan is built; both are named, so that flags are read without torch.

    Attributes:
        recipe_name: ``module:class`` of its recipe.
        plan_name: ``module:function`` from recipe and data set to steps.
    """

    recipe_name: str
    plan_name: str

    @property
    def recipe(self) -> "type[Recipe]":
        """Its recipe dataclass."""
        found: type[Recipe] = _named(self.recipe_name)
        return found

    @property
    def build(self) -> "Callable[[Any, Dataset], list[Step]]":
        """From recipe and data set to steps."""
        found: Callable[[Any, Dataset], list[Step]] = _named(self.plan_name)
        return found


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


METHODS = {
    "cam": Method("weakseg.methods.cam.config:CamRecipe", "weakseg.methods.cam.plan:build_plan"),
    "psa": Method("weakseg.methods.psa.config:PsaRecipe", "weakseg.methods.psa.plan:build_plan"),
    "seam": Method("weakseg.methods.seam.config:SeamRecipe", "weakseg.methods.seam.plan:build_plan"),
    "irnet": Method("weakseg.methods.irnet.config:IrnetRecipe", "weakseg.methods.irnet.plan:build_plan"),
    "recam": Method("weakseg.methods.recam.config:RecamRecipe", "weakseg.methods.recam.plan:build_plan"),
    "mlgcn": Method("weakseg.methods.mlgcn.config:MlgcnRecipe", "weakseg.methods.mlgcn.plan:build_plan"),
    "wsgcn-p": Method("weakseg.methods.wsgcn.recipe:WsgcnPRecipe", "weakseg.methods.wsgcn.plan:build_plan_p"),
    "wsgcn-i": Method("weakseg.methods.wsgcn.recipe:WsgcnIRecipe", "weakseg.methods.wsgcn.plan:build_plan_i"),
    "group": Method("weakseg.methods.group.config:GroupRecipe", "weakseg.methods.group.plan:build_plan"),
    "drawn": Method("weakseg.methods.drawn.config:DrawnRecipe", "weakseg.methods.drawn.plan:build_plan"),
    "a2gnn": Method("weakseg.methods.a2gnn.recipe:A2gnnRecipe", "weakseg.methods.a2gnn.plan:build_plan"),
    "dgcn": Method("weakseg.methods.dgcn.config:DgcnRecipe", "weakseg.methods.dgcn.plan:build_plan"),
    "oaa": Method("weakseg.methods.oaa.config:OaaRecipe", "weakseg.methods.oaa.plan:build_plan"),
    "dsrg": Method("weakseg.methods.dsrg.config:DsrgRecipe", "weakseg.methods.dsrg.plan:build_plan"),
    "supervised": Method(
        "weakseg.methods.supervised.config:SupervisedRecipe", "weakseg.methods.supervised.plan:build_plan"
    ),
}
