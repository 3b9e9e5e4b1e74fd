"""``weakseg convert-weights``."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.cli.common import add_overwrite, build_parser, check_output, out_path, parse
from weakseg.errors import ConfigError


def main(words: Sequence[str]) -> int:
    """Write the weights of an MXNet parameter file of the wide ResNet-38 as safetensors."""
    parser = build_parser(
        "convert-weights",
        "Write the published ImageNet weights of the wide ResNet-38, an MXNet parameter file, as safetensors for the\n"
        "backbone 'resnet38'. MXNet is not needed. Names and shapes of all weights are checked.\n"
        "PyTorch and safetensors files of other backbones need no conversion: name them in backbone.file.",
        "  weakseg convert-weights ilsvrc-cls_rna-a1_cls1000_ep-0001.params --out resnet38.safetensors",
    )
    parser.add_argument("file", type=Path, help="MXNet parameter file (.params)")
    parser.add_argument("--out", type=out_path, required=True, help="safetensors file to write")
    add_overwrite(parser)
    given = parse(parser, words)
    if given.out.suffix != ".safetensors":
        raise ConfigError(f"--out: {given.out} must end in .safetensors")
    check_output("--out", given.out, overwrite=given.overwrite)
    from weakseg.nn.backbones.resnet38 import resnet38_state
    from weakseg.nn.mxnet import read_mxnet
    from weakseg.nn.weights import save_weights

    state = resnet38_state(read_mxnet(given.file), str(given.file))
    save_weights(given.out, state, {"layout": "torchvision"})
    print(
        f"{given.out}: {len(state)} tensors of ResNet-38; use them by backbone: "
        f"{{name: resnet38, output_stride: 8, weights: file, file: {given.out}}}"
    )
    return 0
