"""Autograd out of reach: what a hand-written question may not call raises one clear sentence."""

import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any

import torch

# The engine and dual numbers stand here too: they catch a `grad` or `jvp` imported by name before the trap was set.
AUTOGRAD = (
    "torch.Tensor.backward",
    "torch.autograd.backward",
    "torch.autograd.grad",
    "torch.autograd._engine_run_backward",
    "torch.autograd.forward_ad.enter_dual_level",
    *(f"torch.autograd.functional.{name}" for name in ("jacobian", "hessian", "vjp", "jvp", "hvp", "vhp")),
    *(
        f"torch.func.{name}"
        for name in ("grad", "grad_and_value", "vjp", "jvp", "jacrev", "jacfwd", "hessian", "linearize")
    ),
)


class NotAllowed(Exception):
    """A call that the question does not allow; the message is the sentence shown."""


class TooSlow(Exception):
    """A call took longer than the question allows."""


@contextmanager
def out_of_reach(names: Iterable[str]) -> Iterator[None]:
    """Within the block, calling any of the dotted `names` raises `NotAllowed`; all is put back after it."""
    originals: list[tuple[Any, str, Any]] = []
    try:
        for name in names:
            owner_name, _, attribute = name.rpartition(".")
            owner = resolve_name(owner_name)
            if hasattr(owner, attribute):
                originals.append((owner, attribute, getattr(owner, attribute)))
                setattr(owner, attribute, _trap(name))
        with torch.inference_mode():
            yield
    finally:
        for owner, attribute, original in originals:
            setattr(owner, attribute, original)


def _trap(name: str) -> Callable[..., None]:
    what = "calls autograd" if name in AUTOGRAD else "uses a library's own version"
    shown = name.replace("_engine_run_backward", "grad").removesuffix(".__init__")
    sentence = f"{what} ({shown}), but this question is to be written by hand"

    def trap(*_: object, **__: object) -> None:
        raise NotAllowed(sentence)

    return trap


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
