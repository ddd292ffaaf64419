"""What `Lab` is in a child: nothing to ask, nothing to find, and nothing of the worker in its globals."""


class InertLab:
    """Every method does nothing."""

    def __init__(self, *_: object) -> None: ...

    def __getattr__(self, name: str) -> object:
        return lambda *_, **__: None
