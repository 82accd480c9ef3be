"""A pretrained directory as a PaddleHub module."""

from pathlib import Path

DESCRIPTION = "Turn a pretrained directory into the folder of a PaddleHub module, ready for `hub install`."


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", type=Path, help="a pretrained directory, or a pre-training run")
    parser.add_argument("out", metavar="OUT", type=Path, help="the module's folder, which is made")
    parser.add_argument("--name", required=True, help="the module's name, such as chinese-electra-demo")
    parser.add_argument("--version", default="1.0.0", help="the module's version [1.0.0]")
    parser.add_argument("--summary", help="one line about the module")
    parser.add_argument("--overwrite", action="store_true", help="replace a module's folder that is there already")


def run(arguments):
    from electra_paddle.hub.export import export_module

    out = export_module(
        arguments.run, arguments.out, arguments.name, arguments.version, arguments.summary, arguments.overwrite
    )
    print(f"{out}: module {arguments.name} written; install it with: hub install {out}")
