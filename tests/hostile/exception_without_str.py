"""An exception whose message cannot be read, with a cause that is itself."""
# question: linear_backward
# deserves: 0


class Bad(Exception):
    def __str__(self):
        raise self


def linear_backward(G, Z, W, b):
    error = Bad()
    error.__cause__ = error
    raise error
