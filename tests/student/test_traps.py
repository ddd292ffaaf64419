# mypy: disable-error-code="no-untyped-call"
"""Autograd out of reach, and everything put back: after a return, an error, an interrupt."""

import contextlib
import re
import subprocess
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable
from contextlib import nullcontext
from pkgutil import resolve_name
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import backward, grad
from torch.autograd.functional import hessian as f_hessian
from torch.autograd.functional import hvp, jacobian, vhp
from torch.autograd.functional import jvp as f_jvp
from torch.autograd.functional import vjp as f_vjp
from torch.func import grad as func_grad
from torch.func import grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp

from dl780.student.adapters import call
from dl780.student.call import attempt
from dl780.student.traps import (
    AUTOGRAD,
    BATCH_NORMS,
    CONVOLUTIONS,
    ENGINE_ASKED,
    KERNELS,
    TRANSPOSED_CONVOLUTIONS,
    TRANSPOSES,
    UNPOOLING,
    NotAllowed,
    TooSlow,
    default_float64,
    one_thread,
    out_of_reach,
    time_limit,
)

x = torch.tensor([1.0, 2.0])


def cubes(x: Tensor) -> Tensor:
    return (x**3).sum()


def recorded(x: Tensor) -> tuple[Tensor, Tensor]:
    leaf = x.clone().requires_grad_()
    return cubes(leaf), leaf


ENTRY_POINTS = [name for name in AUTOGRAD if name != KERNELS]


def originals() -> list[Any]:
    """The entry points as they are now."""
    return [resolve_name(name) for name in ENTRY_POINTS]


BY_ATTRIBUTE: dict[str, Callable[[Tensor], Any]] = {
    "torch.Tensor.backward": lambda x: recorded(x)[0].backward(),
    "torch.autograd.backward": lambda x: torch.autograd.backward(recorded(x)[0]),
    "torch.autograd.grad": lambda x: torch.autograd.grad(*recorded(x)),
    "torch.autograd.functional.jacobian": lambda x: torch.autograd.functional.jacobian(cubes, x),
    "torch.autograd.functional.hessian": lambda x: torch.autograd.functional.hessian(cubes, x),
    "torch.autograd.functional.vjp": lambda x: torch.autograd.functional.vjp(cubes, x),
    "torch.autograd.functional.jvp": lambda x: torch.autograd.functional.jvp(cubes, x, x),
    "torch.autograd.functional.hvp": lambda x: torch.autograd.functional.hvp(cubes, x, x),
    "torch.autograd.functional.vhp": lambda x: torch.autograd.functional.vhp(cubes, x, x),
    "torch.func.grad": lambda x: torch.func.grad(cubes)(x),
    "torch.func.grad_and_value": lambda x: torch.func.grad_and_value(cubes)(x),
    "torch.func.vjp": lambda x: torch.func.vjp(cubes, x),
    "torch.func.jvp": lambda x: torch.func.jvp(cubes, (x,), (x,)),
    "torch.func.jacrev": lambda x: torch.func.jacrev(cubes)(x),
    "torch.func.jacfwd": lambda x: torch.func.jacfwd(cubes)(x),
    "torch.func.hessian": lambda x: torch.func.hessian(cubes)(x),
    "torch.func.linearize": lambda x: torch.func.linearize(cubes, x),
    "torch.autograd.forward_ad.enter_dual_level": lambda x: torch.autograd.forward_ad.enter_dual_level(),
}
BY_NAME: dict[str, Callable[[Tensor], Any]] = {
    "grad": lambda x: grad(*recorded(x)),
    "backward": lambda x: backward(recorded(x)[0]),
    "hessian": lambda x: f_hessian(cubes, x),
    "dual level": lambda x: torch.autograd.forward_ad.dual_level().__enter__(),
}
FUNC_BY_NAME: dict[str, Callable[[Tensor], Any]] = {
    "grad": lambda x: func_grad(cubes)(x),
    "grad_and_value": lambda x: grad_and_value(cubes)(x),
    "vjp": lambda x: vjp(cubes, x)[1](torch.tensor(1.0)),
    "jvp": lambda x: jvp(cubes, (x,), (x,)),
    "jacrev": lambda x: jacrev(cubes)(x),
    "jacfwd": lambda x: jacfwd(cubes)(x),
    "hessian": lambda x: hessian(cubes)(x),
    "linearize": lambda x: linearize(cubes, x)[1](x),
}
SILENT: dict[str, Callable[[Tensor], Any]] = {
    "jacobian": lambda x: jacobian(cubes, x),
    "vjp": lambda x: f_vjp(cubes, x)[1],
    "jvp": lambda x: f_jvp(cubes, x, x)[1],
    "hvp": lambda x: hvp(cubes, x, x)[1],
    "vhp": lambda x: vhp(cubes, x, x)[1],
}


def recording(function: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """The function as someone writes it who has seen that nothing is recorded."""

    def inside(x: Tensor) -> Any:
        with torch.inference_mode(False), torch.enable_grad():
            return function(x)

    return inside


def error_of(function: Callable[[Tensor], Any]) -> str:
    """What a student is told who calls this in a function."""
    return attempt(function, call, {"x": x}, ["g"], AUTOGRAD).error


@pytest.mark.parametrize("name", BY_ATTRIBUTE)
def test_each_entry_point_says_its_name(name: str) -> None:
    sentence = f"calls autograd ({name}), but this question is to be written by hand"
    assert error_of(BY_ATTRIBUTE[name]) == sentence
    assert error_of(recording(BY_ATTRIBUTE[name])) == sentence


def test_every_public_entry_point_is_tried_here() -> None:
    assert {name for name in ENTRY_POINTS if "._" not in name} == set(BY_ATTRIBUTE)


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_each_entry_point_is_trapped_and_only_within_the_block(name: str) -> None:
    before = resolve_name(name)
    with out_of_reach(AUTOGRAD), pytest.raises(NotAllowed, match="calls autograd"):
        resolve_name(name)()
    assert resolve_name(name) is before


@pytest.mark.parametrize("name", BY_NAME)
def test_a_name_imported_before_is_of_no_use(name: str) -> None:
    assert error_of(BY_NAME[name]).startswith("calls autograd (")
    assert error_of(recording(BY_NAME[name])).startswith("calls autograd (")


@pytest.mark.parametrize("name", FUNC_BY_NAME)
def test_torch_func_imported_before_is_of_no_use(name: str) -> None:
    for function in (FUNC_BY_NAME[name], recording(FUNC_BY_NAME[name])):
        found = attempt(function, call, {"x": x}, ["g"], AUTOGRAD)
        assert found.error
        assert found.outputs == {}
    assert FUNC_BY_NAME[name](x) is not None  # nothing is left behind in torch's own stack


@pytest.mark.parametrize("name", [name for name in FUNC_BY_NAME if name != "linearize"])
def test_torch_func_imported_before_earns_its_sentence(name: str) -> None:
    assert error_of(FUNC_BY_NAME[name]).startswith("calls autograd (")


@pytest.mark.parametrize(
    "ready_made",
    [
        lambda x: torch.ops.aten.tanh_backward(x, x.tanh()),
        lambda x: torch.ops.aten.threshold_backward.default(x, x, 0),
        lambda x: torch._softmax_backward_data(x, x.softmax(0), 0, x.dtype),
        lambda x: torch.ops.aten.sigmoid_backward(x, x.sigmoid()),
    ],
)
def test_a_ready_made_backward_pass_earns_its_sentence(ready_made: Callable[[Tensor], Any]) -> None:
    assert "a ready-made backward pass, but this question is to be written by hand" in error_of(ready_made)
    assert attempt(ready_made, call, {"x": x}, ["g"], ENTRY_POINTS).error == ""  # where a question does not mind


def test_forward_operations_are_all_there() -> None:
    def honest(x: Tensor) -> Tensor:
        W = torch.einsum("i,j->ij", x, x)
        out: Tensor = torch.linalg.norm(W).reshape(1) + (W @ x).softmax(0).cumsum(0).flip(0).tanh().where(x > 1, 0.0)
        return out

    assert error_of(honest) == ""


def test_a_process_that_forbade_the_engine_ends_where_it_is_asked_for() -> None:
    code = (
        "import torch, sys, threading\nfrom dl780.student.traps import forbid_engine\n"
        "torch.set_num_threads(1)\nassert forbid_engine()\nx = torch.ones(2)\nprint((x * x).sum().item(), flush=True)\n"
        "loss = (x.requires_grad_() ** 2).sum()\n"
        "torch._C._ImperativeEngine().run_backward((loss,), (torch.tensor(1.0),), False, False, (), True)\n"
        "print('differentiated')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (ENGINE_ASKED, "2.0\n")


@pytest.mark.parametrize("name", SILENT)
def test_autograd_functional_imported_before_is_of_no_use_when_recording(name: str) -> None:
    assert error_of(recording(SILENT[name])).startswith("calls autograd (")


@pytest.mark.parametrize("name", SILENT)
def test_autograd_functional_imported_before_earns_its_sentence(name: str) -> None:
    assert error_of(SILENT[name]).startswith("calls autograd (")


def test_a_librarys_own_version_is_told_apart_from_autograd() -> None:
    words = r"uses a library's own version \(torch.optim.Optimizer\), but"
    with out_of_reach(["torch.optim.Optimizer.__init__"]), pytest.raises(NotAllowed, match=words):
        torch.optim.SGD([x.clone()], lr=0.1)


def test_a_name_that_this_torch_lacks_is_passed_over() -> None:
    with out_of_reach(["torch.func.of_another_version", "torch.autograd.grad"]), pytest.raises(NotAllowed):
        torch.autograd.grad(*recorded(x))
    assert not hasattr(torch.func, "of_another_version")


class Boom(BaseException):
    """Neither an Exception nor an interrupt."""


@pytest.mark.parametrize("ends", [None, ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, Boom])
def test_everything_is_put_back(ends: type[BaseException] | None) -> None:
    before, dtype = originals(), torch.get_default_dtype()
    with contextlib.suppress(BaseException), default_float64(), out_of_reach(AUTOGRAD):
        assert all(now is not then for now, then in zip(originals(), before, strict=True))
        assert torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() == torch.float64
        if ends:
            raise ends
    assert all(now is then for now, then in zip(originals(), before, strict=True))
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == dtype
    assert torch.autograd.grad(*recorded(x))[0].tolist() == [3, 12]


@pytest.mark.parametrize("names", [(), ("torch.optim.Optimizer.__init__",)])
def test_a_question_that_allows_autograd_lets_it_work(names: tuple[str, ...]) -> None:
    found = attempt(lambda x: grad(*recorded(x))[0], call, {"x": x}, ["g"], names)
    assert found.error == ""
    assert found.outputs["g"].tolist() == [3, 12]  # type: ignore[union-attr]


def test_a_name_that_does_not_resolve_leaves_nothing_trapped() -> None:
    before = originals()
    with pytest.raises(ModuleNotFoundError), out_of_reach(["torch.autograd.grad", "no_such_module.grad"]):
        raise AssertionError("the block is not entered")
    assert all(now is then for now, then in zip(originals(), before, strict=True))


def test_traps_may_be_nested() -> None:
    before = originals()
    with out_of_reach(AUTOGRAD), contextlib.suppress(NotAllowed), out_of_reach(["torch.autograd.grad"]):
        torch.autograd.grad(*recorded(x))
    assert all(now is then for now, then in zip(originals(), before, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_the_default_dtype_is_the_one_that_was(dtype: torch.dtype) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with contextlib.suppress(KeyboardInterrupt), default_float64():
            torch.set_default_dtype(torch.bfloat16)
            raise KeyboardInterrupt
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(before)


def test_the_number_of_threads_is_the_one_that_was() -> None:
    before = torch.get_num_threads()
    with contextlib.suppress(KeyboardInterrupt), one_thread():
        assert torch.get_num_threads() == 1
        raise KeyboardInterrupt
    assert torch.get_num_threads() == before


# --- time ------------------------------------------------------------------------------------------------------------


def loop(patience: float = 30) -> None:
    """Endless to all intents; it ends when a test would otherwise hang."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            raise ValueError
        except Exception:
            continue


def test_an_endless_loop_is_interrupted() -> None:
    with pytest.raises(TooSlow, match=r"took longer than 0\.5 s"), time_limit(0.5):
        loop()


def test_an_interrupt_by_hand_is_no_lateness() -> None:
    timer = threading.Timer(0.2, interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt), time_limit(60):
        loop()
    timer.join()


def test_a_block_in_time_is_never_interrupted_later() -> None:
    with time_limit(0.2):
        value = 1
    time.sleep(0.4)
    assert value == 1


def test_an_error_in_time_comes_through_as_it_is() -> None:
    with pytest.raises(ValueError, match="mine"), time_limit(30):
        raise ValueError("mine")


def test_no_timer_outlives_its_block() -> None:
    before = threading.active_count()
    for _ in range(20):
        with contextlib.suppress(ValueError), time_limit(600):
            raise ValueError
    end = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_out_of_the_main_thread_there_is_no_limit() -> None:
    done = []

    def slow() -> None:
        with time_limit(0.05):
            time.sleep(0.3)
        done.append(True)

    thread = threading.Thread(target=slow)
    thread.start()
    thread.join()
    time.sleep(0.1)  # an interrupt would come here
    assert done == [True]


# --- operations by pattern -------------------------------------------------------------------------------------------

IMAGE, FILTER = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2)
BY_PATTERN: dict[str, tuple[tuple[str, ...], Callable[[], Any], Callable[[], Any]]] = {
    "a transposed convolution": (
        (TRANSPOSED_CONVOLUTIONS,),
        lambda: F.conv_transpose2d(IMAGE, FILTER),
        lambda: F.conv2d(IMAGE, FILTER),
    ),
    "a convolution": (
        (CONVOLUTIONS,),
        lambda: torch.nn.Conv2d(1, 1, 2).to(IMAGE.dtype)(IMAGE),
        lambda: F.unfold(IMAGE, 2),
    ),
    "one dimension": ((CONVOLUTIONS,), lambda: F.conv1d(IMAGE[0], FILTER[0]), lambda: IMAGE.unfold(2, 2, 1)),
    "unpooling": (
        (UNPOOLING,),
        lambda: F.max_unpool2d(*F.max_pool2d(IMAGE, 2, return_indices=True), 2),
        lambda: F.max_pool2d(IMAGE, 2, return_indices=True),
    ),
    "batch norm": (
        (BATCH_NORMS,),
        lambda: F.batch_norm(IMAGE, None, None, training=True),
        lambda: IMAGE.var(correction=0),
    ),
    ".T": (TRANSPOSES, lambda: IMAGE[0, 0].T, lambda: IMAGE.flip(2)),
    ".mT": (TRANSPOSES, lambda: IMAGE.mT, lambda: IMAGE.roll(1, 2)),
    "permute": (TRANSPOSES, lambda: IMAGE.permute(3, 2, 1, 0), lambda: F.pad(IMAGE, (1, 1))),
}


@pytest.mark.parametrize("name", BY_PATTERN)
@pytest.mark.parametrize("mode", [nullcontext, lambda: torch.inference_mode(False)])
def test_an_operation_is_out_of_reach_under_any_name(name: str, mode: Any) -> None:
    patterns, forbidden, allowed = BY_PATTERN[name]

    def inside(function: Callable[[], Any]) -> str:
        def asked(x: Tensor) -> Any:
            with mode():
                function()
            return x

        return attempt(asked, call, {"x": x}, ["g"], (*AUTOGRAD, *patterns)).error

    assert inside(allowed) == ""
    assert re.fullmatch(
        r"uses a library's own version \(aten::\w+\), but this question is to be written by hand", inside(forbidden)
    )


def test_the_backward_kernels_of_a_convolution_are_out_of_reach_everywhere() -> None:
    error = error_of(lambda x: torch.nn.grad.conv2d_input(IMAGE.shape, FILTER, FILTER))
    assert error.startswith("calls aten::convolution_backward, a ready-made backward pass, but this question is")
