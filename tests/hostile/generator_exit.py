"""A base exception of its own."""
# question: linear_backward
# deserves: 0


class Out(BaseException):
    pass


def linear_backward(G, Z, W, b):
    raise Out("of here")
