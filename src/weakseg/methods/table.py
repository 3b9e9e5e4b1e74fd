"""All methods: how each is configured, and how its plan is built."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from weakseg.data.dataset import Dataset
from weakseg.methods.a2gnn.method import build_plan as build_a2gnn
from weakseg.methods.a2gnn.recipe import A2gnnRecipe
from weakseg.methods.cam.config import CamRecipe
from weakseg.methods.cam.method import build_plan as build_cam
from weakseg.methods.drawn.config import DrawnRecipe
from weakseg.methods.drawn.method import build_plan as build_drawn
from weakseg.methods.irnet.config import IrnetRecipe
from weakseg.methods.irnet.method import build_plan as build_irnet
from weakseg.methods.psa.config import PsaRecipe
from weakseg.methods.psa.method import build_plan as build_psa
from weakseg.methods.seam.config import SeamRecipe
from weakseg.methods.seam.method import build_plan as build_seam
from weakseg.methods.supervised.config import SupervisedRecipe
from weakseg.methods.supervised.method import build_plan as build_supervised
from weakseg.methods.wsgcn.method import build_plan_i, build_plan_p
from weakseg.methods.wsgcn.recipe import WsgcnIRecipe, WsgcnPRecipe
from weakseg.pipeline.plan import Step
from weakseg.pipeline.recipe import Recipe


@dataclass(frozen=True)
class Method:
    """How a method is configured, and how its plan is built.

    Attributes:
        recipe: Its recipe dataclass.
        build: From recipe and data set to steps.
    """

    recipe: type[Recipe]
    build: Callable[[Any, Dataset], list[Step]]


METHODS = {
    "cam": Method(CamRecipe, build_cam),
    "psa": Method(PsaRecipe, build_psa),
    "seam": Method(SeamRecipe, build_seam),
    "irnet": Method(IrnetRecipe, build_irnet),
    "wsgcn-p": Method(WsgcnPRecipe, build_plan_p),
    "wsgcn-i": Method(WsgcnIRecipe, build_plan_i),
    "drawn": Method(DrawnRecipe, build_drawn),
    "a2gnn": Method(A2gnnRecipe, build_a2gnn),
    "supervised": Method(SupervisedRecipe, build_supervised),
}
