"""A film of the greedy policy: what the environment shows, and beside it Q(s, ·) as bars, the chosen action marked."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from PIL import Image, ImageDraw

from dl780 import UserError
from dl780.files import whole
from dl780.rl.envs import Array, Environments, episode_seed, make
from dl780.rl.loop import loaded
from dl780.train.checkpoint import Which

HEIGHT, PANEL = 300, 260  # of the film, and the width of the bars' part
NAMES = {
    "CartPole": ("left", "right"),
    "MountainCar": ("left", "none", "right"),
    "LunarLander": ("none", "left", "main", "right"),
    "FrozenLake": ("left", "down", "right", "up"),
    "CliffWalking": ("up", "right", "down", "left"),
    "Taxi": ("south", "north", "east", "west", "pick up", "drop off"),
}  # fmt: skip


def film(run: Path, out: Path, episode: int = 0, which: Which = "last", frames: int = 600) -> tuple[float, int]:
    """Write a film of one test episode as .gif or .mp4; its (return, length). Raises `UserError`."""
    if out.suffix not in WRITERS:
        raise UserError(f"--out takes a name that ends in {' or '.join(WRITERS)}, not {out.name}")
    recipe, learner, _ = loaded(run, which, "cpu")
    shots: list[Image.Image] = []
    total = 0.0
    for picture, Q, total in episode_shots(recipe, learner.policy, episode):
        shots.append(compose(picture, Q, names(recipe.env, len(Q)), f"step {len(shots)}   return {total:g}"))
        if len(shots) >= frames:
            break
    with whole(out, alone=True) as part:
        WRITERS[out.suffix](shots, part)
    return total, len(shots)


def episode_shots(recipe: Any, policy: torch.nn.Module, episode: int) -> Iterator[tuple[Array, Array, float]]:
    """(picture (H, W, 3), Q (actions,), return so far) of each step of a test episode, that step's reward included."""
    vector = make(recipe.env, 1, getattr(recipe, "frame", 84))
    envs = Environments(vector, lambda i, k: episode_seed(0, "test", episode))
    screen, total = _screen(recipe.env, envs), 0.0
    while True:
        with torch.inference_mode():
            Q = policy(torch.from_numpy(envs.observations))
        picture = screen.picture(envs)
        steps, ended = envs.step(Q.argmax(1).numpy())
        total += float(steps.rewards[0])
        yield picture, Q[0].numpy(), total
        if ended:
            return
        screen.step(int(steps.actions[0]))


class _Screen:
    """What an environment shows, drawn by a copy of it that takes the same steps."""

    def __init__(self, env: str, envs: Environments) -> None:
        try:
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame looks for a screen otherwise
            self.env = gymnasium.make(env, render_mode="rgb_array")
            self.env.reset(seed=envs.seed_of(0, 0))
            if "CartPole" in env:
                self.env.unwrapped.state = envs.vector.state[:, 0].copy()  # type: ignore[attr-defined]
            self.env.render()
        except gymnasium.error.DependencyNotInstalled as error:
            raise UserError(f"films of {env} need pygame: pip install 'dl780[film]' ({error})") from None

    def step(self, action: int) -> None:
        self.env.step(action)

    def picture(self, envs: Environments) -> Array:
        return np.asarray(self.env.render())


class _Frames:
    """What an Atari or MinAtar network sees, as there is no other picture of the same episode."""

    def step(self, action: int) -> None:
        """Nothing to do."""

    def picture(self, envs: Environments) -> Array:
        seen = envs.observations[0]
        if seen.dtype == np.uint8:
            frame: Array = np.repeat(seen[-1][:, :, None], 3, axis=2)
            return frame
        colours = np.array([[(37 * k + 80 * c) % 176 + 80 for c in range(3)] for k in range(seen.shape[2])])
        mixed: Array = np.clip(seen.astype(int) @ colours, 0, 255).astype(np.uint8)
        return mixed


def _screen(env: str, envs: Environments) -> _Screen | _Frames:
    return _Frames() if env.startswith(("ALE/", "MinAtar/")) else _Screen(env, envs)


def names(env: str, actions: int) -> tuple[str, ...]:
    """What the actions of an environment are called; numbers where that is not known."""
    if env.startswith("ALE/"):
        import ale_py

        found = make(env, 1).ale.get_action_set()  # type: ignore[attr-defined]
        return tuple(ale_py.Action(a).name.lower() for a in found)
    return next((known for key, known in NAMES.items() if key in env), tuple(map(str, range(actions))))


def compose(picture: Array, Q: Array, actions: tuple[str, ...], caption: str) -> Image.Image:
    """The picture, and beside it a bar for each action, from the least to the largest of Q(s, ·)."""
    left = Image.fromarray(picture)
    left = left.resize((round(left.width * HEIGHT / left.height), HEIGHT), Image.Resampling.NEAREST)
    shot = Image.new("RGB", ((left.width + PANEL) // 2 * 2, HEIGHT), "white")
    shot.paste(left, (0, 0))
    pen, x, space = ImageDraw.Draw(shot), left.width + 12, (HEIGHT - 60) / len(Q)
    pen.text((x, 10), caption, fill="black")
    pen.text((x, 26), "Q(s, a)", fill="black")
    low, width = Q.min() - 0.1 * max(np.ptp(Q), 1e-6), max(np.ptp(Q), 1e-6) * 1.1
    for a, (name, value) in enumerate(zip(actions, Q, strict=True)):
        y = 48 + a * space
        colour = "#c2410c" if a == int(Q.argmax()) else "#94a3b8"
        pen.text((x, y), f"{name[:9]}", fill="black")
        pen.rectangle((x + 62, y, x + 62 + 110 * float((value - low) / width), y + min(14, space - 3)), fill=colour)
        pen.text((x + 180, y), f"{value:.3g}", fill="black")
    return shot


def _gif(shots: list[Image.Image], path: Path) -> None:
    small = [shot.quantize(64) for shot in shots]
    small[0].save(path, format="gif", save_all=True, append_images=small[1:], duration=33, loop=0)


def _mp4(shots: list[Image.Image], path: Path) -> None:
    try:
        import av
    except ModuleNotFoundError:
        raise UserError("an .mp4 needs PyAV: pip install 'dl780[film]'; a .gif needs nothing") from None
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=30)
        stream.width, stream.height = shots[0].size
        stream.pix_fmt = "yuv420p"
        for shot in shots:
            container.mux(stream.encode(av.VideoFrame.from_image(shot)))
        container.mux(stream.encode())


WRITERS = {".gif": _gif, ".mp4": _mp4}
