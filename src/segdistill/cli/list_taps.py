"""``segdistill list taps``: the inner maps of a config's networks."""

from __future__ import annotations

from segdistill.cli.words import Config, Json, Overrides, Trust, check_config


def list_taps(
    config: Config, overrides: Overrides = None, trust: Trust = None, json: Json = False
) -> None:
    """List the inner maps of a config's networks.

    A path can be used as the tap of a term, or be given a name under taps in the config.

    Example: segdistill list taps camvid/students data.root=camvid
    """
    from dataclasses import asdict
    from json import dumps

    checked = check_config(config, overrides, trust)
    from segdistill.api.taps import taps

    listed = taps(checked)
    if json:
        shapes = {
            name: {path: asdict(shape) for path, shape in network.items()}
            for name, network in listed.items()
        }
        print(dumps(shapes))
        return
    for name, network in listed.items():
        width = max(map(len, network))
        print(f"{name}:")
        for path, shape in network.items():
            size = f"{shape.size[0]}x{shape.size[1]}"
            print(f"  {path.ljust(width)}  {shape.channels:5} x {size:9} stride {shape.stride}")
