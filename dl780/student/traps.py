"""Autograd out of reach: what a hand-written question may not call raises one clear sentence."""

import ctypes
import os
import threading
from _thread import interrupt_main
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from fnmatch import fnmatchcase
from functools import cache
from pkgutil import resolve_name
from typing import Any, NoReturn

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operations watched at dispatch, by pattern, under whatever name they are called.
KERNELS = "aten::*_backward"  # what autograd itself calls
CONVOLUTIONS = "aten::*conv*"
TRANSPOSED_CONVOLUTIONS = "aten::conv_transpose*"
UNPOOLING = "aten::max_unpool*"
BATCH_NORMS = "aten::*batch_norm*"
RECURRENT = ("aten::*rnn_*", "aten::*lstm*", "aten::*gru*")
CLIPPING = ("torch.nn.utils.clip_grad_norm_", "torch.nn.utils.clip_grads_with_norm_", "aten::_foreach_norm")
TRANSPOSES = ("aten::t", "aten::*transpose*", "aten::permute", "aten::numpy_T", "aten::m[TH]", "aten::adjoint")
AUTOGRAD = (
    "torch.Tensor.backward",
    *(f"torch.autograd.{name}" for name in ("backward", "grad")),
    *(f"torch.autograd.functional.{name}" for name in ("jacobian", "hessian", "vjp", "jvp", "hvp", "vhp")),
    *(
        f"torch.func.{name}"
        for name in ("grad", "grad_and_value", "vjp", "jvp", "jacrev", "jacfwd", "hessian", "linearize")
    ),
    # What these call in turn: it catches a function that was imported by name before the trap was set.
    "torch.autograd._engine_run_backward",
    "torch.autograd.functional._autograd_grad",
    "torch.autograd.forward_ad.enter_dual_level",
    "torch._functorch.eager_transforms._grad_increment_nesting",
    "torch._functorch.eager_transforms._jvp_increment_nesting",
    "torch._C._functorch._grad_increment_nesting",
    "torch._C._functorch._jvp_increment_nesting",
    "torch._C._enter_dual_level",
    "torch._C._ImperativeEngine",
    KERNELS,
)
PRODUCTS = ("matmul", "linear", "einsum", "mm", "addmm", "mv", "bmm", "dot", "conv1d", "conv2d", "convolution")
MOST_PRODUCTS = 99  # in one case, unless a question says otherwise; who multiplies more often may be differencing
CURVED = ("exp", "log", "tanh", "sigmoid", "logsumexp", "softmax", "_softmax", "log_softmax", "_log_softmax", "sqrt")
CLOSE = 1e-3  # two arguments that differ by less, but do differ, may be the two ends of a step
BY_HAND = ", but this question is to be written by hand"
ENGINE_ASKED = 97  # exit code of a child that asked for the autograd engine
_SET_STUB = "_ZN5torch8autograd23set_default_engine_stubEPFRNS0_6EngineEvE"


def refusal(autograd: bool, called: str) -> str:
    """The sentence for a call that a question does not allow, whoever notices it."""
    what = "calls autograd" if autograd else "uses a library's own version"
    return f"{what} ({called}){BY_HAND}"


class NotAllowed(Exception):
    """A call that the question does not allow; the message is the sentence shown."""


class TooSlow(Exception):
    """A call took longer than the question allows."""


@contextmanager
def out_of_reach(
    names: Collection[str],
    sprung: list[str] | None = None,
    doubts: list[str] | None = None,
    products: int = MOST_PRODUCTS,
) -> Iterator[None]:
    """Within the block, calling any of `names`, dotted or a pattern, raises `NotAllowed`; all is put back after it.

    Each sentence is also added to `sprung`, since torch or a student may catch what is raised; what is not certain
    is added to `doubts`, and so are more than so many `products`.
    """
    sprung = [] if sprung is None else sprung
    originals: list[tuple[Any, str, Any]] = []
    try:
        for name in (name for name in names if not name.startswith("aten::")):
            owner, attribute = _place(name)
            if hasattr(owner, attribute):
                originals.append((owner, attribute, getattr(owner, attribute)))
                setattr(owner, attribute, _trap(name, sprung))
        watched = [name for name in names if name.startswith("aten::")]
        with torch.inference_mode(AUTOGRAD[0] in names), _Watch(sprung, watched) if watched else nullcontext() as watch:
            yield
        if watch and doubts is not None:
            doubts += watch.doubts(products)
    finally:
        for owner, attribute, original in originals:
            setattr(owner, attribute, original)


@cache
def _place(name: str) -> tuple[Any, str]:
    """The object that a dotted name is an attribute of, and the attribute."""
    owner, _, attribute = name.rpartition(".")
    return resolve_name(owner), attribute


def _trap(name: str, sprung: list[str]) -> Callable[..., None]:
    shown = name.removesuffix(".__init__")
    sentence = refusal(name in AUTOGRAD, "torch.autograd" if "._" in shown else shown)

    def trap(*_: object, **__: object) -> None:
        sprung.append(sentence)
        raise NotAllowed(sentence)

    return trap


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Every operation passes here; one that is a piece of somebody's backward pass, or matches a pattern, raises."""

    def __init__(self, sprung: list[str], patterns: Sequence[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sprung, self.patterns = sprung, [pattern for pattern in patterns if pattern != KERNELS]
        self.calls: Counter[str] = Counter()
        self.before: dict[str, torch.Tensor] = {}  # by operation, the argument of its last call

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to skip it torch would import it, which takes two seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = _name(func, args)
        if name.endswith(("_backward", "_backward_data", "_make_dual")):
            self._refuse(f"calls {name}, a ready-made backward pass{BY_HAND}")
        if any(fnmatchcase(name, pattern) for pattern in self.patterns):
            self._refuse(refusal(False, name))
        self.calls[name := name.removeprefix("aten::")] += 1
        if name in CURVED and isinstance(args[0], torch.Tensor):
            self.calls["close"] += _close(args[0], self.before.get(name))
            self.before[name] = args[0].clone()
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.is_complex():
            self.calls["complex"] += 1
        return result

    def _refuse(self, sentence: str) -> NoReturn:
        self.sprung.append(sentence)
        raise NotAllowed(sentence)

    def doubts(self, most: int) -> list[str]:
        """What differencing looks like: many products, a function at two points close together, complex numbers."""
        often = [name for name in PRODUCTS if self.calls[name] > most]
        return (
            [f"calls {name} over {most} times in one case, as differencing does" for name in often]
            + ["takes a function at two points close together, as differencing does"] * bool(self.calls["close"])
            + ["computes with complex numbers, as the complex step does"] * bool(self.calls["complex"])
        )


def _close(a: torch.Tensor, b: torch.Tensor | None) -> bool:
    """Whether two tensors nearly agree, but do not."""
    if b is None or a.shape != b.shape or a.dtype != b.dtype or a.layout != b.layout or not a.numel():
        return False
    step, size = (a - b).abs().max().item(), a.abs().max().item()
    return 0 < step <= CLOSE * size


def _name(func: Any, args: Any) -> str:
    """The name of an operation; a convolution that is told to be transposed goes by that name."""
    name: str = func._schema.name
    return "aten::conv_transpose" if name.endswith("::convolution") and args[6] else name


def forbid_engine() -> bool:
    """From now on this process ends, with ENGINE_ASKED, where it asks for the autograd engine; False if it cannot be.

    A stub in place of libtorch's engine: whatever path leads to it, from Python or not, in this thread or another.
    """
    if set_stub := engine_setter():
        set_stub(_stop)
    return set_stub is not None


@cache
def engine_setter() -> Any:
    """libtorch's function that sets the engine, or None where a build has none; finding it takes 5 ms."""
    try:
        libtorch = ctypes.CDLL(os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cpu.so"))
        return getattr(libtorch, _SET_STUB)
    except (OSError, AttributeError):
        return None


_stop = ctypes.CFUNCTYPE(ctypes.c_void_p)(lambda: os._exit(ENGINE_ASKED))


@contextmanager
def default_float64() -> Iterator[None]:
    """The default dtype is float64 within the block, as it is for every check."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread within the block, as when grading: small products are no faster on more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the block after `seconds` and raise `TooSlow`; works on every platform, in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    late = threading.Event()

    def interrupt() -> None:
        late.set()
        interrupt_main()

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if late.is_set():
            raise TooSlow(f"took longer than {seconds:g} s") from None
        raise
    finally:
        timer.cancel()
