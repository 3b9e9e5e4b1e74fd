"""Which parameters learn, and how fast: the groups of the optimiser."""

from collections.abc import Mapping

import torch
from torch import nn

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone
from weakseg.settings.fit import FitConfig

BACKBONE, HEAD = "backbone.", "head."
SHOWN = 5  # parameters that an error lists


def build_optimizer(model: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """Return an optimiser with a group for each pair of rate and weight decay; each parameter that learns is in one.

    Parts of a model are ``backbone``, ``head`` and those that its ``rate_factors`` name, a mapping from prefixes of
    parameters to multiples of the head's rate. Of several prefixes the longest counts.

    Raises:
        ConfigError: If a parameter that learns belongs to no part, or a part of ``rate_factors`` has no parameter.
    """
    factors, undecayed = part_factors(model, config), _undecayed(model)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    strays = []
    for name, parameter in model.named_parameters():
        parts = [part for part in factors if name.startswith(part)]
        if not parameter.requires_grad:
            continue
        if not parts:
            strays.append(name)
            continue
        factor = factors[max(parts, key=len)]
        if name.rpartition(".")[2] == "bias":
            factor *= config.bias_lr_factor
        decays = config.decay_biases or (parameter.ndim > 1 and name not in undecayed)
        groups.setdefault((factor, config.weight_decay if decays else 0.0), []).append(parameter)
    if strays:
        raise ConfigError(
            f"{type(model).__name__}: {_listed(strays)} would not learn, for they belong to none of "
            f"{', '.join(factors)}; name their part in rate_factors, or freeze them"
        )
    members = [{"params": found, "factor": key[0], "weight_decay": key[1]} for key, found in groups.items()]
    if not members:
        raise ConfigError(f"{type(model).__name__}: no parameter learns; all are frozen")
    if config.optimizer == "adamw":
        return torch.optim.AdamW(members, lr=config.lr)
    return torch.optim.SGD(members, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov)


def _undecayed(model: nn.Module) -> set[str]:
    """Return the parameters that networks of timm name as none that decay: positions and tokens of transformers."""
    named = {name: getattr(module, "no_weight_decay", set) for name, module in model.named_modules()}
    return {f"{name}.{entry}" for name, names in named.items() for entry in names()}


def part_factors(model: nn.Module, config: FitConfig) -> dict[str, float]:
    """Return the multiple of ``lr`` that each part of a model learns with, by prefix.

    Raises:
        ConfigError: If a part of ``rate_factors`` has no parameter.
    """
    further: Mapping[str, float] = getattr(model, "rate_factors", {})
    names = [name for name, _ in model.named_parameters()]
    for part in further:
        if not any(name.startswith(part) for name in names):
            raise ConfigError(f"{type(model).__name__}: rate_factors names {part!r}, which no parameter is called by")
    heads = {part: config.head_lr_factor * factor for part, factor in {HEAD: 1.0, **further}.items()}
    return {BACKBONE: 1.0, **heads}


def set_norms(model: nn.Module, config: FitConfig) -> None:
    """Let norms of the backbones in a model use and learn what the configuration says.

    Raises:
        ConfigError: If statistics of the batch are wanted of a backbone that has no batch norms.
    """
    for module in model.modules():
        if isinstance(module, Backbone):
            if config.norm_statistics == "batch" and not module.batch_norms:
                raise ConfigError(
                    f"fit.norm_statistics: {type(module.model).__name__} has no batch norms, whose statistics could be "
                    "those of the batch; set 'stored'"
                )
            module.norm_statistics = config.norm_statistics
            if config.norm_affine == "frozen":
                module.freeze_norms()


def freeze_levels(model: nn.Module, levels: int) -> None:
    """Let what the finest levels of the backbones in a model depend on stay as it is.

    Raises:
        ConfigError: If there is no backbone, or it has less levels.
    """
    backbones = [module for module in model.modules() if isinstance(module, Backbone)]
    if levels and not backbones:
        raise ConfigError(f"fit.frozen_levels: {type(model).__name__} has no backbone; leave it out")
    for backbone in backbones:
        backbone.freeze_finest(levels)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
