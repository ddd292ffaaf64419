"""An object of which every question raises."""
# question: linear_backward
# deserves: 0


class Meta(type):
    @property
    def __name__(cls):
        raise RuntimeError("no name")


class Hostile(metaclass=Meta):
    def __getattribute__(self, name):
        raise RuntimeError("no attribute")

    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __len__ = __iter__ = __array__ = __bool__ = __repr__


def linear_backward(G, Z, W, b):
    return Hostile(), [Hostile()] * 3, Hostile()
