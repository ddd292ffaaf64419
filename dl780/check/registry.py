"""Finding labs: a lab is a module of questions, registered under the entry-point group `dl780.labs`."""

from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType

from dl780 import UserError
from dl780.check.question import Question


@dataclass(frozen=True)
class LabQuestions:
    """A lab's questions in the order of its module, its opening imports, and its written questions' points."""

    name: str
    module: str
    title: str
    opening: str
    questions: dict[str, Question]
    written: dict[str, float]

    @property
    def out_of(self) -> float:
        """Points of the core questions: 100, or 50 of a short lab."""
        return sum(question.out_of for question in self.questions.values() if not question.extra)


def lab_names() -> list[str]:
    """Every registered lab."""
    return sorted({entry.name for entry in entry_points(group="dl780.labs")})


def load_lab(name: str) -> LabQuestions:
    """The questions of a lab by its registered name."""
    found = [entry for entry in entry_points(group="dl780.labs") if entry.name == name]
    if not found:
        raise UserError(f"there is no lab {name!r}; there are: {', '.join(lab_names()) or 'none'}")
    return read_lab(name, found[0].load())


def read_lab(name: str, module: ModuleType) -> LabQuestions:
    """A module's questions: every `Question` at its top level, named as the function that it asks for."""
    if not hasattr(module, "OPENING"):
        raise UserError(f"{module.__name__} is no lab: it holds no OPENING, the imports that a notebook begins with")
    questions = {value.name: value for value in vars(module).values() if isinstance(value, Question)}
    title = (module.__doc__ or name).splitlines()[0].rstrip(".")
    return LabQuestions(name, module.__name__, title, module.OPENING, questions, getattr(module, "WRITTEN", {}))
