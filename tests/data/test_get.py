"""Fetching from a local server: mirrors in order, cut connections, resumed files, sums; and taking from a folder."""

import gzip
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dl780 import UserError, cli
from dl780.data import SETS, get, idx, load
from dl780.data.sets import Remote

Write = Callable[..., Path]


@dataclass
class Server:
    """Files by path, how many bytes an answer gives before it is cut, and what was asked: path and first byte."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    cut: int | None = None
    ranges: bool = True
    asked: list[tuple[str, int]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first = int(re.findall(r"\d+", self.headers.get("Range", "0"))[0])
            state.asked.append((self.path, first))
            raw = state.files.get(self.path)
            if raw is None:
                return self.send_error(404)
            first = first if state.ranges else 0
            self.send_response(206 if state.ranges else 200)
            if state.ranges:
                self.send_header("Content-Range", f"bytes {first}-{len(raw) - 1}/{len(raw)}")
            self.send_header("Content-Length", str(len(raw) - first))
            self.end_headers()
            self.wfile.write(raw[first : None if state.cut is None else first + state.cut])
            return None

        def log_message(self, *_: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{http.server_port}")
    Thread(target=http.serve_forever, daemon=True).start()
    yield state
    http.shutdown()
    http.server_close()


@pytest.fixture
def served(server: Server, write_idx: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """MNIST's row, made of the four small files that the server has below /good/; /bad/ has none."""
    folder = write_idx(tmp_path / "origin")
    raws = {name: (folder / f"{name}.gz").read_bytes() for name in idx.FILES}
    remotes = tuple(Remote(f"{name}.gz", len(raw), hashlib.md5(raw).hexdigest()) for name, raw in raws.items())
    server.files = {f"/good/{name}.gz": raw for name, raw in raws.items()}
    mirrors = (f"{server.url}/bad/", f"{server.url}/good/")
    contents = tuple(hashlib.md5(gzip.decompress(raw)).hexdigest() for raw in raws.values())
    monkeypatch.setitem(SETS, "mnist", replace(SETS["mnist"], files=remotes, mirrors=mirrors, contents=contents))
    return server


def parts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def test_a_set_comes_from_the_second_mirror_and_only_once(served: Server) -> None:
    told: list[str] = []
    folder = get.get("mnist", told.append)
    assert folder == Path("data/MNIST/raw")
    assert sorted(path.name for path in folder.iterdir()) == sorted(idx.FILES)
    assert re.match(r"MNIST: 0\.0 MB in 4 file\(s\) from http://.* to data/MNIST/raw", told[0])
    assert "404" in told[1]
    data = load("mnist", say=None)
    assert (data.name, data.title, data.source) == ("mnist", "MNIST, the originals", "data/MNIST/raw")
    served.asked.clear()
    told.clear()
    get.get("mnist", told.append)
    assert served.asked == []
    assert [line.split(": ")[1] for line in told[1:]] == ["there already"] * 4


def test_a_cut_connection_goes_on_where_it_was(served: Server) -> None:
    served.cut = 400
    get.get("mnist", lambda _: None)
    firsts = [first for path, first in served.asked if path == f"/good/{idx.FILES[0]}.gz"]
    assert firsts == list(range(0, SETS["mnist"].files[0].bytes, 400))
    assert load("mnist", say=None).title == "MNIST, the originals"
    assert parts(Path("data")) == []


def test_a_later_call_goes_on_and_what_is_kept_is_said(served: Server) -> None:
    remote = SETS["mnist"].files[0]
    raw = served.files.pop(f"/good/{remote.name}")
    Path("data/MNIST/raw").mkdir(parents=True)
    Path(f"data/MNIST/raw/{remote.name}.part").write_bytes(raw[:500])
    with pytest.raises(UserError, match=r"could not be fetched: .*404.*; 500 bytes are kept, the same command goes on"):
        get.get("mnist", lambda _: None)
    served.files[f"/good/{remote.name}"] = raw
    served.asked.clear()
    get.get("mnist", lambda _: None)
    assert served.asked[:2] == [(f"/bad/{remote.name}", 500), (f"/good/{remote.name}", 500)]


def test_a_server_without_ranges_starts_again(served: Server) -> None:
    served.ranges = False
    remote = SETS["mnist"].files[0]
    Path("data/MNIST/raw").mkdir(parents=True)
    Path(f"data/MNIST/raw/{remote.name}.part").write_bytes(b"x" * 500)
    get.get("mnist", lambda _: None)
    assert load("mnist", say=None).name == "mnist"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw[:-1] + b"?", "another md5"),
        (lambda raw: raw + b"?", "bytes, not"),
        (lambda raw: b"", "bytes, not"),
    ],
)
def test_another_file_is_refused_and_not_kept(served: Server, change: Callable[[bytes], bytes], words: str) -> None:
    path = f"/good/{SETS['mnist'].files[0].name}"
    served.files[path] = change(served.files[path])
    with pytest.raises(UserError, match=words):
        get.get("mnist", lambda _: None)
    assert [path for path in Path("data").rglob("*") if path.is_file()] == []


def test_nobody_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETS, "mnist", replace(SETS["mnist"], mirrors=("http://127.0.0.1:9/", "http://[/")))
    with pytest.raises(UserError, match="refused") as caught:
        get.get("mnist", lambda _: None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["digits", "shapes", "imagefolder", "nothing"])
def test_what_cannot_be_fetched(name: str) -> None:
    with pytest.raises(UserError):
        get.get(name)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("zipped", [True, False])
def test_a_folder_is_taken_after_it_was_checked(served: Server, write_idx: Write, tmp_path: Path, zipped: bool) -> None:
    folder = write_idx(tmp_path / "there", zipped)
    assert get.bring("mnist", folder) == Path("data/MNIST/raw")
    assert sorted(path.name for path in Path("data/MNIST/raw").iterdir()) == sorted(idx.FILES)
    assert load("mnist", say=None).name == "mnist"


def test_a_folder_with_something_else_is_not_taken(served: Server, write_idx: Write, tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "there")
    with pytest.raises(UserError, match="holds MNIST, not the originals of Fashion-MNIST"):
        get.bring("fashion-mnist", folder)
    with pytest.raises(UserError, match="does not hold MNIST"):
        get.bring("mnist", tmp_path / "gone")
    (folder / f"{idx.FILES[3]}.gz").write_bytes(b"cut")
    with pytest.raises(UserError, match="no whole gzip file"):
        get.bring("mnist", folder)
    with pytest.raises(UserError, match="holds no data_batch_1"):
        get.bring("cifar10", folder)
    assert not Path("data").exists()


def test_cifar_is_taken_as_it_is(write_cifar: Write) -> None:
    get.bring("cifar10", write_cifar())
    assert load("cifar10", say=None).name == "cifar10-part"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("data list", "fashion-mnist  60,000 + 10,000"),
        ("data where digits", "data: digits 8×8, 1,797"),
        ("data where mnist", "data/MNIST/raw: nothing"),
        ("data --help", "import"),
        ("data get --help", "NAME"),
    ],
)
def test_commands(line: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["dl780", *line.split()])
    try:
        cli.main()
    except SystemExit as stop:
        assert not stop.code  # noqa: PT017
    assert words in capsys.readouterr().out


def test_get_and_import_from_the_command_line(
    served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in ("data get mnist", f"data import mnist {tmp_path / 'origin'}"):
        monkeypatch.setattr(sys, "argv", ["dl780", *line.split()])
        cli.main()
        assert capsys.readouterr().out.splitlines()[-1].startswith("data: MNIST, the originals, from data/MNIST/raw")


@pytest.mark.parametrize(
    "line", ["data", "data get", "data get nothing", "data import mnist", "data where imagefolder"]
)
def test_bad_commands_are_one_line(
    line: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "__stderr__", open(2, "w", closefd=False))  # noqa: SIM115
    monkeypatch.setattr(sys, "argv", ["dl780", *line.split()])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    print(end="", file=sys.__stderr__, flush=True)
    assert stop.value.code == 2
    assert capfd.readouterr().err.count("\n") == 1
