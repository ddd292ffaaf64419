"""Arrays over a socket: what arrives is what was sent, and what is forged is refused."""

import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from dl780.student import wire
from dl780.student.arrays import Inputs, Value

DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
]


@contextmanager
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a pair."""
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def round_trip(values: Any, head: Any = None) -> tuple[dict[str, Any], Inputs]:
    with ends() as (here, there):
        wire.send(here, head or {}, values)
        got = wire.receive(there, time.monotonic() + 30)
        assert got
        return got


def received(message: bytes, deadline: float | None = None) -> Any:
    """What is made of these bytes, when nothing comes after them."""
    with ends() as (here, there):
        here.sendall(message)
        here.close()
        return wire.receive(there, deadline)


def framed(first: bytes, body: bytes = save({})) -> bytes:
    """A message whose lengths are right."""
    return wire.LENGTHS.pack(len(first), len(body)) + first + body


def forged(forms: Any, tensors: dict[str, Tensor] | None = None) -> bytes:
    """A well-formed message with forms of one's own."""
    return framed(json.dumps({"head": {}, "forms": forms}).encode(), save(tensors or {}))


def bits(t: Tensor) -> tuple[torch.dtype, tuple[int, ...], bytes]:
    """All there is to a tensor, its NaN too."""
    return t.dtype, tuple(t.shape), t.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


@st.composite
def arrays(draw: st.DrawFn) -> Tensor:
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    dtype = draw(st.sampled_from(DTYPES))
    numbers = torch.randint(0, 2, shape) if dtype == torch.bool else torch.randint(0, 100, shape)
    array = numbers.to(dtype)
    if dtype.is_floating_point and array.numel():
        array.view(-1)[0] = draw(st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1e-7]))
    return array.transpose(0, -1) if array.ndim > 1 and draw(st.booleans()) else array


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.one_of(arrays(), st.lists(arrays(), max_size=3))))
def test_arrays_and_lists_arrive_bit_for_bit(values: dict[str, Value]) -> None:
    _, got = round_trip(values)
    assert list(got) == list(values)
    for name, value in values.items():
        found = got[name]
        if isinstance(value, Tensor):
            assert isinstance(found, Tensor)
            assert bits(found) == bits(value)
        else:
            assert isinstance(found, list)
            assert list(map(bits, found)) == list(map(bits, value))


@given(st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.booleans()))
def test_numbers_arrive_as_they_are(number: float) -> None:
    _, got = round_trip({"p": number})
    assert type(got["p"]) is type(number)
    assert got["p"] == number or (math.isnan(number) and math.isnan(got["p"]))


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text()))))
def test_heads_arrive_as_they_are(head: dict[str, Any]) -> None:
    assert round_trip({}, head)[0] == head


@pytest.mark.parametrize("values", [lambda x: {"a": [x, x]}, lambda x: {"a": [x, x[:1]]}, lambda x: {"a": x.T}])
def test_items_that_share_memory_arrive_each(values: Any) -> None:
    sent = values(torch.arange(6.0).reshape(2, 3))
    got = round_trip(sent)[1]["a"]
    pairs = zip(got, sent["a"], strict=True) if isinstance(got, list) else [(got, sent["a"])]
    assert all(torch.equal(g, w) for g, w in pairs)  # type: ignore[arg-type]


def test_two_inputs_that_share_memory_arrive_both() -> None:
    x = torch.arange(6.0)
    got = round_trip({"a": x, "b": x, "c": x[:2]})[1]
    assert [v.tolist() for v in got.values()] == [x.tolist(), x.tolist(), [0, 1]]  # type: ignore[union-attr]


def test_messages_come_one_by_one() -> None:
    with ends() as (here, there):
        for i in range(3):
            wire.send(here, {"i": i}, {"x": torch.full((i,), float(i))})
        here.close()
        for i in range(3):
            found = wire.receive(there)
            assert found
            assert found[0] == {"i": i}
            assert found[1]["x"].tolist() == [i] * i  # type: ignore[union-attr]
        assert wire.receive(there) is None


def test_a_message_larger_than_the_sockets_buffer_arrives() -> None:
    x = torch.arange(3_000_000, dtype=torch.float64)
    with ends() as (here, there):
        sender = threading.Thread(target=wire.send, args=(here, {}, {"x": x}))
        sender.start()
        found = wire.receive(there, time.monotonic() + 60)
        sender.join()
    assert found
    assert torch.equal(found[1]["x"], x)  # type: ignore[arg-type]


# --- what is no message ----------------------------------------------------------------------------------------------


def test_an_end_before_a_message_is_none() -> None:
    assert received(b"") is None


@pytest.mark.parametrize("left_out", [1, 3, 20, 40])
def test_a_cut_off_message_is_broken(left_out: int) -> None:
    whole = forged({"x": "tensor"}, {"x": torch.ones(3)})
    assert received(whole)[1]["x"].tolist() == [1, 1, 1]
    with pytest.raises(wire.Broken, match="stopped in the middle of its answer"):
        received(whole[:-left_out])
    with pytest.raises(wire.Broken, match="stopped in the middle of its answer"):
        received(whole[: wire.LENGTHS.size - 1])


@pytest.mark.parametrize(
    "lengths", [(wire.MOST_HEAD + 1, 0), (2, wire.MOST_BODY + 1), (2**32 - 1, 2**32 - 1), (0x20202020, 0x20202020)]
)
def test_an_oversized_message_is_refused_before_it_is_read(lengths: tuple[int, int]) -> None:
    with pytest.raises(wire.Broken, match="returned more than 256 MiB"):
        received(wire.LENGTHS.pack(*lengths))


@pytest.mark.parametrize(
    "message",
    [
        framed(b""),
        framed(b"not json"),
        framed(b"\xff\xfe"),
        framed(b"[]"),
        framed(b"null"),
        framed(b"{}"),
        framed(b'{"head": {}}'),
        framed(b'{"forms": {}}'),
        framed(b"[" * 100_000),
        framed(b'{"head": {}, "forms": {}}', b""),
        framed(b'{"head": {}, "forms": {}}', b"no safetensors"),
        framed(b'{"head": {}, "forms": {}}', b"\xff" * 64),
        forged([]),
        forged(None),
        forged({"x": "tensor"}),
        forged({"x": 1}),
        forged({"x": wire.MOST_TENSORS}),
        forged({"x": wire.MOST_TENSORS + 1}, {"x.0": torch.ones(1)}),
        forged({"x": -1}),
        forged({"x": 2}, {"x.0": torch.ones(1)}),
        forged({"x": 10**18}),
        forged({"x": None}),
        forged({"x": []}),
        forged({"x": {}}),
        forged({"x": "pickle"}),
        forged({"x": ["number"]}),
        forged({"x": ["number", None]}),
        forged({"x": ["number", {}]}),
        forged({"x": ["number", "many"]}),
    ],
)
def test_what_is_no_message_is_one_error(message: bytes) -> None:
    with pytest.raises(wire.Broken, match="sent something that is no message"):
        received(message)


def body(dtype: str, size: int) -> bytes:
    """A safetensors body of two zeros of any dtype."""
    header = json.dumps({"x": {"dtype": dtype, "shape": [2], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


@pytest.mark.parametrize(("dtype", "size"), [("F4", 1), ("F6_E2M3", 2), ("Q8", 2), ("F64", 3), ("F64", 2**12)])
def test_a_dtype_of_ones_own_is_refused(dtype: str, size: int) -> None:
    with pytest.raises(wire.Broken):
        received(framed(b'{"head": {}, "forms": {"x": "tensor"}}', body(dtype, size)))


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(wire.Broken):
        received(framed(b'{"head": {}, "forms": {"x": "tensor"}}', body("C64", 16)))


@pytest.mark.parametrize("head", [b"[]", b"null", b"5", b'"x"'])
def test_a_head_that_is_no_object_is_refused(head: bytes) -> None:
    with pytest.raises(wire.Broken):
        received(framed(b'{"head": ' + head + b', "forms": {}}'))


@given(st.binary(max_size=200))
def test_noise_is_broken_or_nothing(noise: bytes) -> None:
    with suppress(wire.Broken):
        assert received(noise) is None


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", wire.LENGTHS.pack(10, 10), wire.LENGTHS.pack(10, 10) + b"abc"])
def test_silence_ends_at_the_deadline(begun: bytes) -> None:
    with ends() as (here, there):
        here.sendall(begun)
        with pytest.raises(wire.Broken, match="took too long"):
            wire.receive(there, time.monotonic() + 0.1)


def test_a_trickle_ends_at_the_deadline_too() -> None:
    stop = threading.Event()
    with ends() as (here, there):
        here.sendall(wire.LENGTHS.pack(0, wire.MOST_BODY))

        def trickle() -> None:
            while not stop.wait(0.02):
                here.send(b"x")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            with pytest.raises(wire.Broken, match="took too long"):
                wire.receive(there, time.monotonic() + 0.4)
        finally:
            stop.set()
            thread.join()
