"""Arrays over a socket: a JSON head and a safetensors body, each with its length before it; never a pickle."""

import json
import socket
import struct
import time
from typing import Any

import torch
from safetensors.torch import load, save

from dl780.student.arrays import Inputs, Value

LENGTHS = struct.Struct("<II")
MOST_HEAD, MOST_BODY, MOST_TENSORS = 2**20, 2**28, 4096


class Broken(Exception):
    """The other side sent no message, an oversized one, or none that is whole."""


def send(to: socket.socket, head: dict[str, Any], values: "dict[str, Value | float]") -> None:
    """Send a head and named values; a list of tensors travels as its length and its items."""
    flat: dict[str, torch.Tensor] = {}
    forms: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, torch.Tensor):
            forms[name], flat[name] = "tensor", value.contiguous().clone()  # safetensors refuses shared memory
        elif isinstance(value, list):
            forms[name] = len(value)
            flat |= {f"{name}.{i}": item.contiguous().clone() for i, item in enumerate(value)}
        else:
            forms[name] = ["number", value]
    first, body = json.dumps({"head": head, "forms": forms}).encode(), save(flat)
    to.sendall(LENGTHS.pack(len(first), len(body)) + first + body)


def receive(
    source: socket.socket, deadline: float | None = None, most: int = MOST_BODY
) -> tuple[dict[str, Any], Inputs] | None:
    """The next message, or None at the end of the stream. Raises `Broken` for anything that is not one."""
    lengths = _exactly(source, LENGTHS.size, deadline, may_end=True)
    if lengths is None:
        return None
    head_size, body_size = LENGTHS.unpack(lengths)
    if head_size > MOST_HEAD or body_size > most:
        raise Broken(f"returned more than {MOST_BODY >> 20} MiB")
    raw = _exactly(source, head_size + body_size, deadline)
    assert raw is not None
    try:
        message = json.loads(raw[:head_size])
        head, flat = message["head"], load(raw[head_size:])
        if not isinstance(head, dict) or any(value.is_complex() for value in flat.values()):
            raise TypeError("a head is an object, and no number is complex")
        return head, _values(message["forms"], flat)
    except Exception as error:  # whatever a forged message breaks
        raise Broken("sent something that is no message") from error


def _values(forms: dict[str, Any], flat: dict[str, torch.Tensor]) -> Inputs:
    values: Inputs = {}
    for name, form in forms.items():
        if form == "tensor":
            values[name] = flat[name]
        elif isinstance(form, int) and 0 <= form <= MOST_TENSORS:
            values[name] = [flat[f"{name}.{i}"] for i in range(form)]
        else:
            values[name] = form[1] if isinstance(form[1], int) else float(form[1])
    return values


def _exactly(source: socket.socket, size: int, deadline: float | None, may_end: bool = False) -> bytes | None:
    """So many bytes, before the deadline."""
    parts = bytearray()
    while len(parts) < size:
        if deadline is not None:
            source.settimeout(max(1e-3, deadline - time.monotonic()))
        try:
            part = source.recv(min(size - len(parts), 2**20))
        except TimeoutError:
            raise Broken("took too long") from None
        except OSError:
            part = b""
        if not part:
            if may_end and not parts:
                return None
            raise Broken("stopped in the middle of its answer")
        parts += part
    return bytes(parts)
