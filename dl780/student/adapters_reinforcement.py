"""The adapters of the lab `reinforcement`: steps one after the other, random actions, a replay memory, cart-poles."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dl780.student.adapters import one_tensor
from dl780.student.arrays import collect
from dl780.student.call import WrongOutputs, unpack
from dl780.student.cartpoles import CartPoles

Function = Callable[..., Any]
FIELDS = ("S", "a", "r", "S_next", "terminated", "truncated")
SPOILT = 7  # what a batch is overwritten with once it is copied; a bool becomes True


def table_steps(
    q_update: Function,
    Q: Tensor,
    s: Tensor,
    a: Tensor,
    r: Tensor,
    s_next: Tensor,
    terminated: Tensor,
    alpha: float,
    gamma: float,
) -> object:
    """The table after each of the transitions."""
    Qs = []
    for transition in zip(s.tolist(), a.tolist(), r.tolist(), s_next.tolist(), terminated.tolist(), strict=True):
        Q = one_tensor(q_update(Q, *transition, alpha, gamma))
        Qs.append(Q.clone())
    return Qs


def linear_steps(
    linear_q_step: Function,
    theta: Tensor,
    phi: Tensor,
    a: Tensor,
    r: Tensor,
    phi_next: Tensor,
    terminated: Tensor,
    alpha: float,
    gamma: float,
) -> object:
    """θ after each of the transitions."""
    thetas = []
    for transition in zip(phi, a.tolist(), r.tolist(), phi_next, terminated.tolist(), strict=True):
        theta = one_tensor(linear_q_step(theta, *transition, alpha, gamma))
        thetas.append(theta.clone())
    return thetas


def five_choices(epsilon_greedy: Function, Q: Tensor, epsilon: float, seed: int) -> object:
    """Two calls with one generator, one with a fresh generator of the same seed, one with ε = 0, one with ε = 1."""
    generator, again = (torch.Generator().manual_seed(seed) for _ in range(2))
    asked = [(epsilon, generator), (epsilon, generator), (epsilon, again), (0.0, generator), (1.0, generator)]
    return [one_tensor(epsilon_greedy(Q.clone(), e, g)) for e, g in asked]


def replayed(
    ReplayBuffer: Function,
    capacity: int,
    S: Tensor,
    a: Tensor,
    r: Tensor,
    S_next: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    cuts: Tensor,
    m: int,
    times: int,
    seed: int,
) -> object:
    """`len(buffer)` after each addition, and what is drawn then: (times, m, 2n + 4), a transition a row.

    The last two are drawn at the end, with generators of one seed. What was handed over, and each batch that was
    copied, is overwritten: a memory that shares storage with either is spoilt by that.
    """
    buffer, generator = ReplayBuffer(capacity, S.shape[1]), torch.Generator().manual_seed(seed)
    sizes, drawn, start = [], [], 0
    for end in cuts.tolist():
        rows = [field[start:end].clone() for field in (S, a, r, S_next, terminated, truncated)]
        buffer.add(*rows)
        for field in rows:
            field.zero_()
        sizes.append(float(len(buffer)))
        drawn.append(_batches(buffer, S.shape[1], m, times, generator))
        start = end
    for _ in range(2):
        drawn.append(_batches(buffer, S.shape[1], m, times, torch.Generator().manual_seed(seed)))
    return torch.tensor(sizes), drawn


def _batches(buffer: Any, n: int, m: int, times: int, generator: torch.Generator) -> Tensor:
    return torch.stack([_matrix(buffer.sample(m, generator), n, m) for _ in range(times)])


def _matrix(batch: object, n: int, m: int) -> Tensor:
    """A batch as one matrix, a transition a row; the batch itself is overwritten."""
    fields = unpack(batch, FIELDS)
    columns = []
    for name, field in zip(FIELDS, fields, strict=True):
        value = collect(field)
        column = torch.stack(value) if isinstance(value, list) else value
        shape = (m, n) if name.startswith("S") else (m,)
        if column.shape != shape:
            raise WrongOutputs(f"sample({m}, …) returned {name} of shape {tuple(column.shape)}, not {shape}")
        columns.append(column.double().reshape(m, -1))
    for field in fields:
        for part in field if isinstance(field, list | tuple) else [field]:
            if isinstance(part, Tensor):
                part.fill_(SPOILT)
    return torch.cat(columns, 1)


def on_cartpoles(
    train_dqn: Function,
    gravity: float,
    length: float,
    order: Tensor,
    scale: Tensor,
    swapped: int,
    env_seed: int,
    seed: int,
) -> object:
    """`train_dqn(env, seed)` on sixteen drawn cart-poles."""
    return train_dqn(CartPoles(16, env_seed, gravity, length, order, scale, swapped), seed)
