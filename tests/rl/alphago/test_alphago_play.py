"""A person plays: in the terminal, by requests, and by clicks in a browser."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from dl780 import UserError
from dl780.rl.alphago.games import Game, game_of
from dl780.rl.alphago.play import in_terminal, on_page, opponent
from dl780.rl.alphago.players import uniform
from dl780.rl.alphago.search import Settings
from dl780.rl.alphago.table import Table

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def against(game: Game, simulations: int = 60) -> Any:
    """A plain search as an opponent."""
    return game, uniform(game), Settings(simulations=simulations, rollouts=1.0), "a plain search"


def test_a_game_in_the_terminal(ttt: Game) -> None:
    answers, told = iter(["hint", "e7", "b2", *[f"{c}{r}" for r in (1, 2, 3) for c in "abc"] * 3]), list[str]()
    table = in_terminal(against(ttt), ask=lambda _: next(answers), say=told.append)
    assert table.over
    assert table.moves[0] == 4
    assert told[-1].endswith(table.verdict())
    assert any("value" in line and "visits" in line for line in told)
    assert any("'e7' is no move here" in line for line in told)


def test_who_says_quit_has_not_finished(ttt: Game) -> None:
    table = in_terminal(against(ttt), second=True, ask=lambda _: "quit", say=lambda _: None)
    assert len(table.moves) == 1


def test_a_table_keeps_the_tree_below_a_move(ttt: Game) -> None:
    table = Table(*against(ttt)[:3])
    first = table.think()
    table.play(first.best)
    again = table.think()
    assert again.visits.sum() == first.visits[first.best] - 1 + 60
    assert again.visits[first.best] == 0
    with pytest.raises(UserError, match="no legal move"):
        table.play(first.best)


def test_without_a_run_a_plain_search_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    game, _, settings, told = opponent(None, "connect_four")
    assert (game.kind, settings.rollouts, told) == (
        "connect_four",
        1.0,
        "a plain search of 2000 simulations, no network",
    )
    with pytest.raises(UserError, match="no run's folder"):
        opponent(tmp_path, "connect_four")


@contextmanager
def served(game: Game) -> Iterator[str]:
    """The page's address."""
    server = on_page(against(game))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(address: str, body: Any = None, kind: str = "application/json", host: str = "") -> Any:
    """What the server answers to JSON."""
    headers = {"Content-Type": kind} | ({"Host": host} if host else {})
    with urlopen(Request(address, json.dumps(body or {}).encode(), headers)) as answer:
        return json.loads(answer.read())


def test_requests_play_a_game(ttt: Game) -> None:
    with served(ttt) as address:
        assert b"<title>" in urlopen(address).read()
        seen = post(f"{address}/move", dict(move=4))
        assert (seen["stones"][1][1], seen["mover"], seen["thought"]) == (1, 1, None)
        seen = post(f"{address}/answer")
        assert (len(seen["moves"]), seen["mover"]) == (2, 0)
        assert sum(seen["thought"]["visits"].values()) == 59
        assert seen["thought"]["best"] == seen["moves"][1]
        assert post(f"{address}/think")["thought"]["mover"] == 0
        assert post(f"{address}/new")["moves"] == []


@pytest.mark.parametrize(("path", "body"), [
    ("/move", dict(move=99)), ("/move", {}), ("/move", []), ("/move", dict(move="x")), ("/nowhere", {}),
])  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused_and_the_game_goes_on(ttt: Game, path: str, body: Any) -> None:
    with served(ttt) as address:
        with pytest.raises(HTTPError) as error:
            urlopen(Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}))
        assert error.value.code == 400
        assert "error" in json.loads(error.value.read())
        assert post(f"{address}/state")["moves"] == []


def test_no_other_site_can_play(ttt: Game) -> None:
    with served(ttt) as address:
        for more in (dict(kind="text/plain"), dict(host="evil.example:80")):
            with pytest.raises(HTTPError) as error:
                post(f"{address}/new", **more)
            assert error.value.code == 403


class Browser:
    """Chromium without a window, told what to do through a pipe (its DevTools protocol)."""

    def __init__(self, folder: Path) -> None:
        """Start it with one empty page."""
        (read, theirs_write), (theirs_read, write) = os.pipe(), os.pipe()
        assert CHROMIUM
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                   f"--user-data-dir={folder}", "--window-size=900,1100", "about:blank"]  # fmt: skip
        script = f'exec "$@" 3<&{theirs_read} 4>&{theirs_write}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command], pass_fds=(theirs_read, theirs_write),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_read)
        os.close(theirs_write)
        self.read, self.write, self.last, self.session = read, write, 0, ""
        target = next(t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]

    def __call__(self, method: str, **arguments: Any) -> Any:
        """Call a method of the protocol; its result."""
        self.last += 1
        message = dict(id=self.last, method=method, params=arguments) | (
            {"sessionId": self.session} if self.session else {}
        )
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (found := self._next()).get("id") != self.last:
            pass
        assert "error" not in found, found
        return found["result"]

    def _next(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := os.read(self.read, 1)) != b"\0":
            assert byte, "the browser has ended"
            text += byte
        message: dict[str, Any] = json.loads(text)
        return message

    def value(self, script: str) -> Any:
        """What an expression of the page is worth."""
        found = self("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + 20
        while not self.value(script):
            assert time.monotonic() < end, f"{script} never came true; the page says {self.value('said.textContent')!r}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element."""
        box = self.value(
            f"(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView(); "
            f"const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()
        os.close(self.read)
        os.close(self.write)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser, where there is one."""
    if not CHROMIUM:
        pytest.skip("no Chromium here")
    started = Browser(tmp_path / "profile")
    yield started
    started.close()


READY = "document.body.dataset.ready === '{}'"


def test_a_board_is_played_by_clicks(ttt: Game, browser: Browser) -> None:
    """A stone for a click, an answer with its visits, a value, and at the end who has won."""
    with served(ttt) as address:
        browser("Page.navigate", url=address)
        browser.until(f"document.readyState === 'complete' && {READY.format(0)}")
        browser.click('[data-move="4"]')
        browser.until(READY.format(2))
        assert browser.value("document.querySelectorAll('.stone').length") == 2
        shown = "[...document.querySelectorAll('.visits')].reduce((sum, e) => sum + +e.textContent, 0)"
        assert browser.value(shown) == 59
        assert browser.value("!value.hidden && Math.abs(document.querySelector('meter').value) <= 1")
        assert browser.value("document.querySelector('[data-move=\"4\"]').disabled")
        browser.click("#hint")
        browser.until("thought.textContent.startsWith('Your position')")
        for ready in (4, 6, 8, 9):
            if browser.value("state.over"):
                break
            browser.until("!busy")
            browser.click('[data-stone="0"]')
            browser.until(f"document.body.dataset.ready >= {ready} || state.over")
        assert browser.value("said.textContent").startswith("The game is over: ")
        browser.until("!busy")
        browser.click("#second")
        browser.until(READY.format(1))
        assert "you are O" in browser.value("against.textContent")


@pytest.mark.parametrize(("name", "stones"), [("connect_four", 42), ("go(board_size=5)", 25), ("othello", 64)])
def test_every_board_is_shown_and_takes_a_click(name: str, stones: int, browser: Browser) -> None:
    with served(game_of(name)) as address:
        browser("Page.navigate", url=address)
        browser.until(f"document.readyState === 'complete' && {READY.format(0)}")
        assert browser.value("board.children.length") == stones
        before = browser.value("document.querySelectorAll('.stone').length")
        browser.click("#board button:enabled")
        browser.until(READY.format(2))
        assert browser.value("document.querySelectorAll('.stone').length") == before + 2
        shown = "[...document.querySelectorAll('.visits')].reduce((sum, e) => sum + +e.textContent, 0)"
        passed = browser.value("state.passing === null ? 0 : state.thought.visits[state.passing] || 0")
        assert browser.value(shown) + passed == 59
