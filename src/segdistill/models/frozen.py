"""The frozen teacher: a network that only gives maps, as fast as it provably can."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from segdistill.errors import ConfigError
from segdistill.models.compiled import CompiledNetwork, compile_network
from segdistill.models.fold import fold_batch_norms
from segdistill.models.proof import BOUND, full_precision, largest_error, observe, proven
from segdistill.models.sharding import shard
from segdistill.models.taps import as_map, resolve
from segdistill.types import TapMaps


class _AllRecordedError(Exception):
    """Ends a forward pass whose remaining layers are not needed."""


class FrozenTeacher(nn.Module):
    """A copy of a network that gives maps to compare with, and never learns.

    It stays in evaluation mode and runs in inference mode. To be fast it runs only until the
    deepest map is there, its weights are laid out channels last, and every batch norm that
    follows a convolution is folded into it. Each is proven on a real image first: where a map
    would change, the network runs as it was given. The maps are ordinary tensors, so a
    student's loss may be differentiated through them.

    Args:
        network: the trained network; it is copied, not changed.
        taps: the maps to give, each a tap's name or a dotted module path.

    Shape:
        images ``(N, 3, H, W)`` in [0, 1]; each map ``(N, C, h, w)``.

    Raises:
        ValueError: there is no such tap, or none is asked for; in the first forward pass: it
            gives no map, does not run or runs more than once.
        ConfigError: in the forward pass, when a module was put into training mode.
    """

    def __init__(self, network: nn.Module, taps: Iterable[str]) -> None:
        super().__init__()
        self.taps = tuple(dict.fromkeys(taps))
        if not self.taps:
            raise ValueError("FrozenTeacher: expected at least one tap, got none")
        resolve(network, self.taps)
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        # Channels last and only to the deepest tap.
        self.short = False
        self.prepared = False
        self.sharded = False
        self.digest: str | None = None
        self._compiled: CompiledNetwork | None = None
        self._compiled_shape: torch.Size | None = None

    def train(self, mode: bool = True) -> FrozenTeacher:
        """Do nothing: a teacher is always in evaluation mode."""
        return self

    def identify(self) -> None:
        """Record the SHA-256 of the weights and buffers in ``digest``, before they are changed."""
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode())
            if isinstance(value, Tensor):
                flat = value.detach().cpu().contiguous().flatten()
                digest.update(flat.view(torch.uint8).numpy().data)
        self.digest = digest.hexdigest()

    def prepare(self, images: Tensor) -> list[str]:
        """Make the network faster, as far as its maps stay the same.

        The first forward pass does this if it was not done before, and warns of what was refused.

        Args:
            images: real ones, of the size to come; the first counts.

        Returns:
            A sentence about each rewriting that was refused; none if all are right.
        """
        self._check_mode()
        if self.prepared:
            return []
        cases = observe(lambda probe: self._whole(self.network, probe), images[:1])
        self.network, slow = proven(self.network, _lay_channels_last, self._short, cases)
        self.short = not slow
        run = self._short if self.short else self._whole

        def fold(network: nn.Module) -> None:
            # The last case is the smallest, and shows as well what follows what.
            image = cases[-1][0]
            fold_batch_norms(network, image, keep=resolve(network, self.taps).values())

        self.network, unfolded = proven(self.network, fold, run, cases)
        self.prepared = True
        refused = {
            "its weights keep their layout and all its layers run": slow,
            "its batch norms are not folded": unfolded,
        }
        return [
            f"teacher: {what}, which is slower but correct: {reason}"
            for what, reason in refused.items()
            if reason
        ]

    def shard(self, images: Tensor, device: torch.device) -> None:
        """Share the weights out over all processes, and prove that the maps stay the same.

        The network then runs to its end in every process at once. Call it after
        :meth:`prepare`, both on the CPU, where the whole network has room.

        Args:
            images: as for :meth:`prepare`.
            device: device of this process, on which its part is stored.

        Raises:
            ValueError: the network cannot be divided, or its maps would change.
        """
        self.short = False
        cases = observe(lambda probe: self._whole(self.network, probe), images[:1])
        shard(self.network, device)
        self.sharded = True
        with full_precision(device):
            for probe, expected in cases:
                outputs = self._whole(self.network, probe.to(device))
                maps = {name: output.cpu() for name, output in outputs.items()}
                name, error = largest_error(maps, expected)
                if not error <= BOUND:
                    raise ValueError(
                        f"teacher.shard: expected the maps of the whole teacher, got '{name}' off "
                        f"by {error:.2g} of its largest value; leave teacher.shard out"
                    )

    def forward(self, images: Tensor) -> TapMaps:
        self._check_mode()
        if not self.prepared:
            for sentence in self.prepare(images):
                warnings.warn(sentence, RuntimeWarning, stacklevel=2)
        if self._compiled is not None and images.shape == self._compiled_shape:
            # The layers after the deepest tap change nothing, so the compiler leaves them out.
            with torch.no_grad():
                return self._compiled(images.contiguous(memory_format=torch.channels_last))[1]
        return (self._short if self.short else self._whole)(self.network, images)

    def compile_for(self, images: Tensor, *, backend: str) -> CompiledNetwork:
        """Compile it for images of one shape; others are run as before.

        The first forward pass compiles.

        Args:
            images: of the shape to come, after :meth:`prepare`.
            backend: see :func:`segdistill.models.compiled.compile_network`.
        """
        self._compiled = compile_network(self.network, self.taps, backend=backend)
        self._compiled_shape = images.shape
        return self._compiled

    def run_as_it_is(self) -> None:
        """Take back :meth:`compile_for`."""
        self._compiled = None

    def _check_mode(self) -> None:
        if any(module.training for module in self.network.modules()):
            raise ConfigError(
                "FrozenTeacher: expected every module in evaluation mode, got one in training "
                "mode; do not call train() on the teacher's network"
            )

    def _whole(self, network: nn.Module, images: Tensor) -> TapMaps:
        """Run the network as it was given, to its end."""
        return self._run(network, images, to_end=True)

    def _short(self, network: nn.Module, images: Tensor) -> TapMaps:
        """Run it channels last and until the deepest tap."""
        images = images.contiguous(memory_format=torch.channels_last)
        return self._run(network, images, to_end=False)

    def _run(self, network: nn.Module, images: Tensor, *, to_end: bool) -> TapMaps:
        maps: dict[str, Tensor] = {}
        runs: Counter[str] = Counter()
        handles = []
        for name, module in resolve(network, self.taps).items():

            def keep(_module: nn.Module, _inputs: object, output: object, name: str = name) -> None:
                runs[name] += 1
                # A tensor of inference mode cannot be saved for a backward pass, a copy made
                # outside can; and the layer after may work in place.
                with torch.inference_mode(False):
                    maps[name] = as_map(name, output).clone()
                if len(maps) == len(self.taps) and not to_end:
                    raise _AllRecordedError

            handles.append(module.register_forward_hook(keep))
        try:
            # Weights that are gathered anew for every pass need the version that autograd keeps.
            with torch.no_grad() if self.sharded else torch.inference_mode():
                network(images)
        except _AllRecordedError:
            pass
        finally:
            for handle in handles:
                handle.remove()
        self._check_runs(runs)
        return {name: maps[name] for name in self.taps}

    def _check_runs(self, runs: Counter[str]) -> None:
        lacking = [name for name in self.taps if not runs[name]]
        if lacking:
            raise ValueError(
                f"FrozenTeacher: expected taps that run in a forward pass, got "
                f"{', '.join(lacking)}; choose others (segdistill list taps)"
            )
        for name, times in runs.items():
            if times > 1:
                raise ValueError(
                    f"tap '{name}': expected a module that runs once in a forward pass, got one "
                    f"that runs {times} times; choose another (segdistill list taps)"
                )


def _lay_channels_last(network: nn.Module) -> None:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
