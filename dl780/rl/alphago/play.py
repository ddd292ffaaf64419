"""`dl780 play`: a game against a search, in the terminal or on a page that this machine alone can open."""

import json
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from dl780 import UserError
from dl780.recipes import AlphaGo
from dl780.rl.alphago.games import Game, game_of
from dl780.rl.alphago.players import plain_settings, uniform
from dl780.rl.alphago.runs import in_earnest, network_of
from dl780.rl.alphago.search import Evaluate, Settings
from dl780.rl.alphago.table import Table, Thought
from dl780.train.run import read_recipe, results

SIMULATIONS = 400  # of a network's search, where nothing else is said
PLAIN = 2000  # of a search without a network
TOLD = 5  # moves that the terminal names

Opponent = tuple[Game, Evaluate, Settings, str]


def opponent(run: Path | None, game: str, size: int = 0, simulations: int = 0) -> Opponent:
    """Who plays: a run's network, the newest one of that game below runs/, or a plain search.

    Returns the game, the evaluation, the search's settings, and a line that says who it is. Raises `UserError`.
    """
    if run is None and game_of(game, size).name not in (known := _runs()):
        settings = plain_settings(simulations or PLAIN)
        told = f"a plain search of {settings.simulations} simulations, no network"
        return game_of(game, size), uniform(game_of(game, size)), settings, told
    run = run or known[game_of(game, size).name]
    recipe, found, evaluate = network_of(run)
    settings = replace(in_earnest(recipe, found), simulations=simulations or SIMULATIONS)
    return found, evaluate, settings, f"{run.name} with {settings.simulations} simulations a move"


def in_terminal(
    against: Opponent, second: bool = False, seed: int = 0, ask: Callable[[str], str] = input, say: Any = print
) -> Table:
    """Play until the end, or until `quit`; `hint` says what the search thinks of your position."""
    game, evaluate, settings, told = against
    table = Table(game, evaluate, settings, seed)
    say(f"{game.name} against {told}; you are {'O' if second else 'X'}. A move is a name such as "
        f"{game.name_of(game.start().legal_actions()[0])}; hint, quit.")  # fmt: skip
    while not table.over:
        if table.mover == int(second):
            say(game.show(table.state))
            answer = ask("your move: ").strip().lower()
            if answer == "quit":
                return table
            try:
                if answer == "hint":
                    say(_words(game, table.think()))
                else:
                    table.play(game.move_of(answer, table.state))
            except UserError as error:
                say(str(error))
        else:
            thought = table.think()
            table.play(thought.best)
            say(f"{game.name_of(thought.best)}   ({_words(game, thought)})")
    say(f"{game.show(table.state)}\n{table.verdict()}")
    return table


def on_page(against: Opponent, port: int = 0, seed: int = 0) -> HTTPServer:
    """A server for one game at a time, bound to this machine; `serve_forever()` runs it. Raises `UserError`."""
    game, evaluate, settings, told = against
    tables = [Table(game, evaluate, settings, seed)]

    def answer(path: str, asked: dict[str, Any]) -> dict[str, Any]:
        table, thought = tables[0], None
        if path == "/new":
            tables[0] = table = Table(game, evaluate, settings, seed)
        elif path == "/move":
            table.play(int(asked["move"]))
        elif path == "/think":
            thought = table.think()
        elif path == "/answer":
            thought = table.think()
            seen = table.seen(thought)["thought"]
            table.play(thought.best)
            return table.seen() | dict(thought=seen, against=told)
        elif path != "/state":
            raise UserError(f"there is no {path}")
        return table.seen(thought) | dict(against=told)

    class Handler(BaseHTTPRequestHandler):
        """GET the page; POST JSON to the five addresses above."""

        def do_GET(self) -> None:
            found = self.path == "/"
            page = (files("dl780.rl.alphago") / "page.html").read_bytes() if found else b"not here"
            self._send(200 if found else 404, "text/html; charset=utf-8", page)

        def do_POST(self) -> None:
            if self.headers.get("Content-Type") != "application/json" or not _local(self.headers.get("Host", "")):
                self._send(403, "text/plain", b"only this page may ask")  # no other site can
                return
            try:
                asked = json.loads(self.rfile.read(min(1000, int(self.headers.get("Content-Length", 0)))) or b"{}")
                status, found = 200, answer(self.path, asked)
            except (UserError, ValueError, KeyError, TypeError, AttributeError) as error:
                status, found = 400, dict(error=str(error))
            self._send(status, "application/json", json.dumps(found).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    try:
        return HTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise UserError(f"--port {port}: {error.strerror}") from None


def play_game(
    run: Path | None = None, game: str = "tic_tac_toe", size: int = 0, simulations: int = 0, second: bool = False,
    page: bool = False, port: int = 0, seed: int = 0,
) -> None:  # fmt: skip
    """Play a board game against a run's network and search, or against a plain search.

    Args:
        run: a run's folder; by default the newest finished one of the game below runs/, else no network
        game: which one, where no run is named
        size: side of the board, where the game has several
        simulations: of the search for each of its moves; 0 takes 400, without a network 2,000
        second: whether it begins
        page: serve a page with the board, where it can be clicked
        port: of the page; 0 takes any
        seed: of random games in the search
    """
    against = opponent(run, game, size, simulations)
    if not page:
        in_terminal(against, second, seed)
        return
    server = on_page(against, port, seed)
    print(
        f"{against[0].name} against {against[3]}: http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True
    )
    try:
        server.serve_forever()
    finally:
        server.server_close()


def _runs() -> dict[str, Path]:
    """Game -> its newest finished run below runs/."""
    found = [run for run, result in results([Path("runs")]) if isinstance(read_recipe(run), AlphaGo)]
    found.sort(key=lambda run: (run / "result.json").stat().st_mtime_ns)
    return {json.loads((run / "result.json").read_text())["data"]: run for run in found}


def _words(game: Game, thought: Thought) -> str:
    order = [int(move) for move in (-thought.visits).argsort(kind="stable")[:TOLD] if thought.visits[move]]
    visits = ", ".join(f"{game.name_of(move)} {thought.visits[move]}" for move in order)
    return f"value {thought.value:+.2f} for the player to move; visits {visits}"


def _local(host: str) -> bool:
    return host.rpartition(":")[0] in ("127.0.0.1", "localhost")
