"""Autograd out of reach, and everything put back: after a return, an error, an interrupt."""

import contextlib
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import pytest
import torch
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


def originals() -> list[Any]:
    """The entry points as they are now."""
    return [resolve_name(name) for name in AUTOGRAD]


BY_ATTRIBUTE: dict[str, Callable[[Tensor], Any]] = {
    "torch.Tensor.backward": lambda x: recorded(x)[0].backward(),  # type: ignore[no-untyped-call]
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
    "torch.func.grad": lambda x: func_grad(cubes)(x),
    "grad_and_value": lambda x: grad_and_value(cubes)(x),
    "vjp": lambda x: vjp(cubes, x)[1](torch.tensor(1.0)),
    "jvp": lambda x: jvp(cubes, (x,), (x,)),
    "jacrev": lambda x: jacrev(cubes)(x),
    "jacfwd": lambda x: jacfwd(cubes)(x),
    "torch.func.hessian": lambda x: hessian(cubes)(x),
    "linearize": lambda x: linearize(cubes, x)[1](x),
    "hessian": lambda x: f_hessian(cubes, x),
    "dual level": lambda x: torch.autograd.forward_ad.dual_level().__enter__(),
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


def test_every_entry_point_is_tried_here() -> None:
    assert set(AUTOGRAD) - set(BY_ATTRIBUTE) == {"torch.autograd._engine_run_backward"}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_name_imported_before_is_of_no_use(name: str) -> None:
    assert error_of(BY_NAME[name]).startswith("calls autograd (")
    assert error_of(recording(BY_NAME[name])).startswith("calls autograd (")


@pytest.mark.parametrize("name", SILENT)
def test_autograd_functional_imported_before_is_of_no_use_when_recording(name: str) -> None:
    assert error_of(recording(SILENT[name])).startswith("calls autograd (")


@pytest.mark.xfail(strict=True, reason="in inference mode these return zeros before they reach the engine's trap")
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


@pytest.mark.xfail(strict=True, reason="inference mode is entered even where a question forbids nothing of autograd")
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
