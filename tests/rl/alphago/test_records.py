"""SGF files as positions: what is read, and what is left out."""

from pathlib import Path

import pytest

pytest.importorskip("sgfmill")

from dl780 import UserError
from dl780.rl.alphago.games import game_of
from dl780.rl.alphago.records import read_games

GAMES = {
    "won": "(;GM[1]SZ[5]KM[7.5]RE[B+R];B[cc];W[cb];B[bb](;W[dc])(;W[aa]))",
    "passed": "(;SZ[5]RE[W+2.5];B[cc];W[];B[tt];W[ba])",
    "large": "(;SZ[9]RE[B+R];B[cc])",
    "handicap": "(;SZ[5]HA[2]AB[aa][bb]RE[B+R];W[cc])",
    "no_result": "(;SZ[5];B[cc];W[cb])",
    "not_allowed": "(;SZ[5]RE[B+R];B[cc];W[cc])",
    "twice": "(;SZ[5]RE[B+R];B[cc];B[cb])",
    "broken": "(;SZ[5]RE[B+R];B[c",
}


def write(folder: Path, *names: str) -> Path:
    """Some of the games as files."""
    for name in names:
        (folder / f"{name}.sgf").write_text(GAMES[name])
    return folder


def test_moves_stand_where_sgf_says_and_the_end_is_the_movers(tmp_path: Path) -> None:
    game = game_of("go", 5)
    found = read_games(game, write(tmp_path, "won"))
    assert [game.name_of(int(move)) for move in found.Pi.argmax(1)] == ["c3", "c4", "b4", "d3"]
    assert found.z.tolist() == [1, -1, 1, -1]
    assert found.X[1, 1, 2, 2] == 1  # what White sees of Black's first stone
    assert found.X[3].flatten(1).sum(1).tolist() == [1, 2, 25]


def test_a_pass_is_a_move_and_two_of_them_end_the_game(tmp_path: Path) -> None:
    game = game_of("go", 5)
    with pytest.raises(UserError, match="holds no SGF file of a finished game on 5×5"):
        read_games(game, write(tmp_path, "passed"))  # it goes on after both have passed
    (tmp_path / "passed.sgf").write_text(GAMES["passed"].replace(";W[ba]", ""))
    found = read_games(game, tmp_path)
    assert [game.name_of(int(move)) for move in found.Pi.argmax(1)] == ["c3", "pass", "pass"]
    assert found.z.tolist() == [-1, 1, -1]


def test_what_cannot_serve_is_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_games(game_of("go", 5), write(tmp_path, *GAMES))
    assert len(found.X) == 4
    assert "1 games of" in capsys.readouterr().out


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no SGF file"):
        read_games(game_of("go", 5), tmp_path)
