"""The commands, each a thin function over the module that does the work."""

import io
import json
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, arg

from dl780 import UserError
from dl780.grade.roster import Course
from dl780.recipes import RECIPES, Recipe

app = tyro.extras.SubcommandApp()
data = tyro.extras.SubcommandApp()
app.command(data, name="data", help="Data sets: what is here, which would be used, how to bring one.")
training = tyro.extras.SubcommandApp()
app.command(training, name="train", help="Train a network of the lecture from its recipe.")
Lab = Annotated[str, arg(metavar="LAB", help="the lab's name, such as backprop")]
Labs = Annotated[tuple[str, ...], arg(metavar="[LAB ...]", help="labs to release; all of them where none is named")]
Name = Annotated[str, arg(metavar="NAME", help="a data set, as `dl780 data list` names it")]
Folder = Annotated[Path, arg(metavar="PATH", help="a folder that holds it, such as a Debian package's")]
Run = Annotated[Path, arg(metavar="RUN", help="the folder of a run, such as one under runs/")]
Images = Annotated[tuple[Path, ...], arg(metavar="IMAGE [IMAGE ...]", help="pictures, of any format that PIL reads")]
Image = Annotated[Path | None, arg(metavar="[IMAGE]", help="a picture; by default matplotlib's sample photograph")]
Checkpoint = Annotated[Path | None, arg(metavar="[RUN]", help="a run's folder; by default the newest one on pictures")]
Runs = Annotated[tuple[Path, ...], arg(metavar="[FOLDER ...]", help="runs, or folders of runs; runs/ by default")]
Graded = Annotated[Path, arg(metavar="GRADED", help="the --out of `dl780 grade`")]
Students = Annotated[tuple[str, ...], arg(metavar="[SUBMISSION ...]", help="as the gradebook names them")]
CourseOptions = Annotated[Course, arg(name="")]
Contestant = Annotated[str, arg(metavar="PLAYER", help="a run's folder, random, perfect, plain:N or openspiel:N")]
Contender = Annotated[Path | None, arg(metavar="[RUN]", help="its folder; for a game by default the newest one")]
Paths = Annotated[tuple[Path, ...], arg(metavar="PATH [PATH ...]", help="submissions, or folders that hold them")]


def command(
    function: Callable[..., None], within: tyro.extras.SubcommandApp = app, name: str | None = None
) -> Callable[..., None]:
    """Register a command; what it writes to standard error is not the parser's."""

    @wraps(function)
    def run(*args: object, **options: object) -> None:
        with redirect_stderr(sys.__stderr__):
            function(*args, **options)

    return within.command(name=name or function.__name__)(run)


@command
def grade(
    lab: Positional[Lab],
    paths: Positional[Paths],
    /,
    out: Path,
    jobs: int = 2,
    seed: int | None = None,
    dask: str | None = None,
    questions: str | None = None,
    points: Path | None = None,
    course: CourseOptions = Course(),  # noqa: B008, it is frozen
) -> None:
    """Grade notebooks and .py files, folders of them, or what an LMS hands out, zipped or not.

    Args:
        out: folder for gradebook.csv, class.html, results/ and feedback/; a run that was cut off goes on there
        jobs: how many submissions at a time
        seed: master seed; by default a random one, kept in OUT/seed
        dask: address of a dask.distributed scheduler, whose workers grade instead of this machine
        questions: those that count, such as tanh,relu; all by default
        points: CSV of `question,points`, for other points than the lab's
    """
    from dl780.check.registry import load_lab
    from dl780.grade.book import grade as run
    from dl780.grade.choice import choose

    if not paths:
        raise UserError("name at least one notebook or folder to grade")
    if jobs < 1:
        raise UserError(f"--jobs takes a number from 1, not {jobs}")
    results = run(choose(load_lab(lab), questions, points), list(paths), out, jobs, seed, dask, course)
    graded = sum(result["status"] == "graded" for result in results)
    doubts = sum(bool(q["flags"]) for result in results for q in result["questions"].values())
    print(f"{graded} of {len(results)} graded: {out / 'gradebook.csv'}, {out / 'class.html'}, {out / 'feedback'}")
    if doubts:
        print(f"to be looked at by a human: {doubts}, in {out / 'review.html'}")


@command
def export(graded: Positional[Graded], /, canvas: bool = False, moodle: bool = False, gradescope: bool = False) -> None:
    """Write points and pages as an LMS takes them: a table to import, and a zip of pages to upload.

    Args:
        canvas: GRADED/canvas/gradebook.csv and feedback.zip, for Import and for Upload Submissions
        moodle: GRADED/moodle/grades.csv and feedback.zip, for the grading worksheet and for feedback files
        gradescope: GRADED/gradescope/scores.csv, and each submission's results.json
    """
    from dl780.grade.export import export as write

    asked = [lms for lms, wanted in dict(canvas=canvas, moodle=moodle, gradescope=gradescope).items() if wanted]
    if not asked:
        raise UserError("name what takes it: --canvas, --moodle or --gradescope")
    for lms in asked:
        print("\n".join(map(str, write(graded, lms))))


@command
def gradescope(lab: Positional[Lab], /, out: Path = Path("autograder.zip"), wheel: Path | None = None) -> None:
    """Write a Gradescope autograder of a lab: the zip to upload there.

    Args:
        out: the zip
        wheel: of this package; by default built from this checkout
    """
    from dl780.check.registry import load_lab
    from dl780.grade.gradescope import pack

    pack(load_lab(lab), out, wheel)
    print(f"{out} written: upload it under Configure Autograder; base image Ubuntu 24.04")


@command
def regrade(
    graded: Positional[Graded], students: Positional[Students] = (), /, question: str | None = None, jobs: int = 2
) -> None:
    """Grade again after a fix, and say what changed: some submissions, a question, or the requests that wait.

    Args:
        question: every submission, for the sake of this question
        jobs: how many submissions at a time
    """
    from dl780.grade.regrade import regrade as again

    print("\n".join(again(graded, students, question, jobs)))


@command
def request(
    graded: Positional[Graded], submission: Positional[str], question: Positional[str], comment: Positional[str], /
) -> None:
    """Note a request for a regrade: it stands in class.html and in the log, and waits for `dl780 regrade GRADED`."""
    from dl780.grade.regrade import request as note

    note(graded, submission, question, comment)


@command
def similar(graded: Positional[Graded], /, least: float = 0.8) -> None:
    """List submissions whose code is alike beyond what the questions ask for: for a human to look at, never points.

    Args:
        least: likeness from which a pair is listed; 1 is the same but for names, comments and layout
    """
    from dl780.grade.similar import similar as look

    for pair in (found := look(graded, least)):
        print(f"{pair.likeness:.2f}  {pair.one}  {pair.other}  most in {', '.join(pair.questions)}")
    print(f"{len(found)} pairs: {graded / 'similar.csv'}")


@command
def release(labs: Positional[Labs] = (), out: Path | None = None, check: bool = False, force: bool = False) -> None:
    """Build student notebooks from the sources in labs/, without solutions.

    Args:
        out: folder to write into, notebooks/ by default
        check: only say whether the notebooks are fresh
        force: overwrite a notebook that was changed since it was released
    """
    from dl780.check.registry import lab_names, load_lab
    from dl780.release import ROOT
    from dl780.release import release as build

    for name in labs or lab_names():
        print(build(load_lab(name), out or ROOT / "notebooks", check, force))


@command
def demo(out: Path = Path("demo")) -> None:
    """Grade a made-up class and train a network by hand: what this package does, in a minute and a half.

    Args:
        out: folder for the class, its gradebook, its pages and the curves
    """
    from dl780.demo import run

    run(out)


@command
def doctor() -> None:
    """Say what this machine has: versions, and which layers confine a student's code, each by trying it."""
    import platform

    import torch

    import dl780
    from dl780.check.registry import lab_names, load_lab
    from dl780.grade.work import LAYERS, Worker

    print(f"dl780 {dl780.__version__}, Python {platform.python_version()}, torch {torch.__version__}")
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    print(f"device: {device}, labs: {', '.join(lab_names())}")
    if sys.platform != "linux":
        raise UserError("grading needs Linux; checking in a notebook does not")
    lab = load_lab(lab_names()[0])
    worker, question = Worker(lab.opening), next(iter(lab.questions.values()))
    worker.ask(question, [], [])
    worker.close()
    for layer in LAYERS:
        print(f"{'✓' if layer in worker.held else '✗'} {layer}")


@partial(command, within=data, name="list")
def list_data() -> None:
    """List the data sets: what is found of each, and what stands in for it elsewhere."""
    from dl780.data.resolve import table

    print("\n".join(table()))


@partial(command, within=data)
def where(name: Positional[Name], /) -> None:
    """Say which files `--data auto` takes for a data set, and why."""
    from dl780.data.resolve import reasons

    print("\n".join(reasons(name)))


@partial(command, within=data)
def get(name: Positional[Name], /) -> None:
    """Fetch a data set, its size said first; what was cut off goes on, and every sum is checked."""
    from dl780.data.get import get as fetch
    from dl780.data.resolve import load

    load(name, fetch(name))


@partial(command, within=data, name="import")
def import_data(name: Positional[Name], path: Positional[Folder], /) -> None:
    """Take a data set's files from a folder, check them, and put them unzipped where they are looked for."""
    from dl780.data.get import bring
    from dl780.data.resolve import load

    load(name, bring(name, path))


def _train_as(kind: type[Recipe]) -> Callable[..., None]:
    """The command of one recipe, whose options are its settings."""

    def run(recipe: Recipe) -> None:
        import_module(recipe.trainer).train(recipe)

    run.__doc__ = kind.__doc__
    run.__annotations__["recipe"] = Annotated[kind, arg(name="")]
    return run


for recipe_name, recipe_kind in RECIPES.items():
    command(_train_as(recipe_kind), training, recipe_name)


@partial(command, name="eval")
def evaluate(
    run: Positional[Run], /, data: str | None = None, which: Literal["last", "best"] = "last", device: str = "auto"
) -> None:
    """Measure a trained model on the test set, or on that of another source.

    Args:
        data: another place of its data set: auto, embedded, or a path
        which: the last checkpoint, or the best on the validation set
        device: auto, cpu, cuda, mps …
    """
    from dl780.train.run import read_recipe

    name, metrics = import_module(read_recipe(run).trainer).evaluate(run, data, which, device)
    print(json.dumps(dict(run=str(run), checkpoint=which, data=name, metrics=metrics)))


@command
def caption(
    images: Positional[Images],
    /,
    checkpoint: Path | None = None,
    width: int = 5,
    out: Path = Path("captions.html"),
) -> None:
    """Say what pictures show, in a sentence each, as lines and as a page with the alternatives.

    Args:
        checkpoint: a run's folder; by default the newest finished run of captioner
        width: of the beam, whose sentences are the alternatives
        out: the page
    """
    from dl780.use import caption as use

    if not images:
        raise UserError("name at least one picture")
    run = checkpoint or use.usual_run()
    told = use.caption(run, images, width)
    about = json.loads((run / "manifest.json").read_text())["data"]["title"]
    use.page(told, f"by {run.name}, trained on {about}", out)
    print("\n".join([*map(str, told), f"by {run}: {out}"]))


@command
def chat(
    checkpoint: Path | None = None, history: int = 0, temperature: float = 0.0, width: int = 5, seed: int = 0
) -> None:
    """Talk with a sequence-to-sequence network.

    Args:
        checkpoint: a run's folder; by default the newest finished run of seq2seq
        history: earlier speeches, of both, that are read with the last one
        temperature: 0 says the likeliest answer of a beam; above, each word is drawn
        width: of the beam
        seed: of the draws
    """
    from dl780.use import chat as use

    for line in use.talk(use.Partner(checkpoint or use.usual_run(), history, temperature, width, seed)):
        print(line, flush=True)


@command
def sample(
    run: Positional[Run],
    /,
    prompt: str = "\n",
    length: int = 500,
    temperature: float = 0.8,
    top_k: int = 0,
    seed: int = 0,
    which: Literal["last", "best"] = "last",
) -> None:
    """Write text with a char-RNN, symbol by symbol.

    Args:
        prompt: what the text goes on with
        length: symbols to write
        temperature: below 1 the likelier symbols are drawn more often; 0 takes the likeliest
        top_k: draw among so many of the likeliest; 0 among all
        seed: of the draws
        which: the last checkpoint, or the best on the validation text
    """
    from dl780.use.sample import sample as pieces

    for i, piece in enumerate(pieces(run, prompt, length, temperature, top_k, seed, which)):
        print(prompt + piece if i == 0 else piece, end="", flush=True)
    print()


@command
def arena(
    a: Positional[Contestant],
    b: Positional[Contestant],
    /,
    game: str = "",
    size: int = 0,
    games: int = 100,
    opening: int = 2,
    simulations: int = 0,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Let two players play many games; say how they ended, and the difference in Elo with its interval of 95 %.

    A player is a run of alphago, random, perfect (tic-tac-toe), plain:N or openspiel:N, a search of N simulations
    without a network, ours or OpenSpiel's.

    Args:
        game: which one, where neither player is a run
        size: side of the board, where the game has several
        games: how many; each player begins in half of them
        opening: moves at random before that, the same for a game of either colour
        simulations: of the runs' searches; 0 leaves their own
        seed: of openings and random games
        out: a file for the result as JSON
    """
    from dl780.rl.alphago.arena import arena as play

    print(play(a, b, game, size, games, opening, simulations, seed, out))


@command
def play(
    run: Positional[Contender] = None,
    /,
    out: Path | None = None,
    episode: int = 0,
    frames: int = 600,
    which: Literal["last", "best"] = "last",
    game: str = "tic_tac_toe",
    size: int = 0,
    simulations: int = 0,
    second: bool = False,
    page: bool = False,
    port: int = 0,
    seed: int = 0,
) -> None:
    """Film a policy that plays, with Q(s, a) beside the picture; or play a board game against a run of alphago.

    Args:
        out: the film of a run of dqn, .gif or .mp4
        episode: which of the test episodes is filmed, from 0
        frames: at most so many
        which: the last checkpoint, or the best on the validation episodes
        game: which one, where no run is named: tic_tac_toe, connect_four, othello, go
        size: side of the board, where the game has several
        simulations: of the search for each of its moves; 0 takes 400, without a network 2,000
        second: whether it begins
        page: serve a page whose board can be clicked, with the search's visits and value drawn on it
        port: of the page; 0 takes any
        seed: of random games in the search
    """
    if out:
        from dl780.rl.play import film

        if not run:
            raise UserError("name the run that is filmed: dl780 play RUN --out film.gif")
        total, length = film(run, out, episode, which, frames)
        print(f"{out}: return {total:g} in {length} steps")
    else:
        from dl780.rl.alphago.play import play_game

        play_game(run, game, size, simulations, second, page, port, seed)


@command
def runs(folders: Positional[Runs] = (), /) -> None:
    """List finished runs, those on the same data in one table to compare."""
    from dl780.train.run import compare, results

    found = results(folders or (Path("runs"),))
    if not found:
        raise UserError("no finished run below runs/: dl780 train lenet makes one")
    print(compare(found))


@command
def models() -> None:
    """List the networks: input, parameters, FLOPs, the error that the paper reports, the slide."""
    from dl780.models.papers import table

    print("\n".join(table()))


@command
def classify(
    images: Positional[Images],
    /,
    top: int = 5,
    checkpoint: Path | None = None,
    model: str | None = None,
    data: str | None = None,
    out: Path = Path("classify.png"),
) -> None:
    """Name what pictures show: the likeliest classes as lines, and as a picture with bars.

    Args:
        top: how many classes
        checkpoint: a run's folder; by default the newest finished run on pictures
        model: instead of a run, a network of torchvision whose weights lie below TORCH_HOME, such as resnet50
        data: another place of the run's data set
        out: the picture, a PNG
    """
    from dl780.use.classify import classify as answers
    from dl780.use.classify import draw
    from dl780.use.network import open_network

    if not images:
        raise UserError("name at least one picture")
    network = open_network(checkpoint, model, data)
    found = answers(network, images, top)
    draw(network, found, out)
    print("\n".join([*map(str, found), f"by {network.title}: {out}"]))


@command
def look(
    checkpoint: Positional[Checkpoint] = None,
    /,
    model: str | None = None,
    data: str | None = None,
    picture: Path | None = None,
    layer: str | None = None,
    out: Path | None = None,
) -> None:
    """Draw a network from inside: first-layer filters, activation maps, maximally activating examples.

    Args:
        model: instead of a run, a network of torchvision whose weights lie below TORCH_HOME, such as resnet50
        data: another place of the run's data set; for torchvision's networks a folder of pictures
        picture: whose maps are drawn; by default the first validation example's
        layer: whose maximally activating examples are drawn; by default the last one with maps
        out: folder to write into; by default RUN/look, or look-MODEL
    """
    from dl780.use.look import look as pictures
    from dl780.use.network import open_network, usual_run

    run = checkpoint or (None if model else usual_run())
    network = open_network(run, model, data)
    print("\n".join(pictures(network, out or (run / "look" if run else Path(f"look-{model}")), picture, layer)))


@command
def dream(
    image: Positional[Image] = None,
    /,
    checkpoint: Path | None = None,
    model: str | None = None,
    layer: str | None = None,
    channel: int | None = None,
    list_layers: bool = False,
    side: int = 224,
    octaves: int = 4,
    scale: float = 1.4,
    steps: int = 10,
    rate: float = 1.5,
    jitter: int = 8,
    total_variation: float = 0.0,
    seed: int = 0,
    out: Path = Path("dream.png"),
    film: Path | None = None,
) -> None:
    """Deep Dream: change a picture so that a layer of a network is excited more and more.

    Args:
        checkpoint: a run's folder; by default the newest finished run on pictures
        model: instead of a run, a network of torchvision whose weights lie below TORCH_HOME, such as googlenet
        layer: which is excited; by default the deepest with maps of a sixteenth of the picture or more
        channel: only this one of its channels
        list_layers: only name the network's layers, with what each gives for one picture
        side: pixels of the picture's longer side
        octaves: sizes at which it is climbed
        scale: of one size to the next
        steps: of each size
        rate: grey levels that a step moves a pixel in the mean
        jitter: most pixels that the picture is shifted for a step
        total_variation: share of a step that goes against differences between neighbours; 0.3 is a good deal
        seed: of the shifts
        out: the dream, a PNG
        film: of the climb, a .gif, .png or .webp; it does not flash
    """
    from dl780.use import dream as dreams
    from dl780.use import film as films
    from dl780.use.network import layers, open_network

    network = open_network(checkpoint, model)
    if list_layers:
        for name, (kind, shape) in layers(network).items():
            print(f"{name:<32} {kind:<20} {'×'.join(map(str, shape))}")
        return
    if film:
        films.check(film)
    layer = layer or dreams.usual_layer(network)
    picture = dreams.start(network, image or dreams.sample(), side)
    pictures = [picture]
    pictures += dreams.dream(
        network, picture, layer, channel, octaves, scale, steps, rate, jitter, total_variation, seed
    )  # fmt: skip
    dreams.save(network, pictures[-1], layer, out)
    print(f"{out}: {image or 'the sample photograph'} as {layer} of {network.title} dreams it")
    if film:
        print(f"{film}: the climb in {films.save(pictures, film)} frames")


def main() -> None:
    """Run a command; bad input is one line on standard error and exit code 2."""
    parser = io.StringIO()
    try:
        with redirect_stderr(parser):
            app.cli(prog="dl780", description="Hand-written backpropagation, held against autograd.")
    except UserError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except SystemExit as stop:
        if stop.code == 2:
            _refuse(_one_line(parser.getvalue()))
        raise
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _refuse(line: str) -> None:
    print(f"dl780: {line}", file=sys.__stderr__)
    raise SystemExit(2) from None


def _one_line(box: str) -> str:
    """The parser's message without its frame, its title and its pointer to --help."""
    lines = [re.sub(r"[│╭╮╰╯─]+", " ", line).strip() for line in box.splitlines()[1:]]
    return (
        re.sub(r"\s+", " ", " ".join(lines).split("For full helptext")[0].split("Got errors:")[0]).strip()
        or "see dl780 --help"
    )
